// What the sanitizers are not to report.

extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions();

/// libcurl 7.88 closes a socket that is still connecting before it says so. The engine then takes
/// the number out of its epoll: a no-op to the kernel, but a race to ThreadSanitizer when another
/// thread has got the number meanwhile.
extern "C" const char* __tsan_default_suppressions() {
  return "race:epoll_ctl\n";
}

/// CAF 0.18.7 leaks the context of a TLS session whose files it cannot use; a node tries that once, when
/// it starts. And at a system's end, a broker whose proxies went at the same moment may stay.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:caf::openssl::session\nleak:chainmail::find_node_broker\n";
}
