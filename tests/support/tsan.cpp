// What ThreadSanitizer is not to report.

extern "C" const char* __tsan_default_suppressions();

/// libcurl 7.88 closes a socket that is still connecting before it says so. The engine then takes
/// the number out of its epoll: a no-op to the kernel, but a race to ThreadSanitizer when another
/// thread has got the number meanwhile.
extern "C" const char* __tsan_default_suppressions() {
  return "race:epoll_ctl\n";
}
