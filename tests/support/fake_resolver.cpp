// getaddrinfo() of the test program: it stands before libc's for libcurl, too.
#include <dlfcn.h>
#include <map>
#include <mutex>
#include <netdb.h>
#include <string_view>
#include <support/fake_resolver.hpp>
#include <thread>

namespace chainmail::test {

namespace {

struct entry {
  std::chrono::milliseconds delay;
  fake_name::kind what;
  size_t lookups = 0;
};

std::mutex mutex;
std::map<std::string, entry, std::less<>> names;

using resolver = int(const char*, const char*, const addrinfo*, addrinfo**);

} // namespace

fake_name::fake_name(std::string name, std::chrono::milliseconds delay, kind what)
  : name_(std::move(name)) {
  std::lock_guard guard{mutex};
  names.insert_or_assign(name_, entry{delay, what});
}

fake_name::~fake_name() {
  std::lock_guard guard{mutex};
  names.erase(name_);
}

size_t fake_name::lookups() const {
  std::lock_guard guard{mutex};
  return names.at(name_).lookups;
}

std::string fake_name::url(unsigned port) const {
  return "http://" + name_ + ":" + std::to_string(port) + "/";
}

} // namespace chainmail::test

extern "C" int getaddrinfo(
    const char* name, const char* service, const addrinfo* hints, addrinfo** result) {
  using namespace chainmail::test;
  static auto* real = reinterpret_cast<resolver*>(dlsym(RTLD_NEXT, "getaddrinfo"));
  if (name == nullptr || !std::string_view{name}.ends_with(".test"))
    return real(name, service, hints, result);
  entry found{{}, fake_name::kind::unknown};
  {
    std::lock_guard guard{mutex};
    if (auto i = names.find(std::string_view{name}); i != names.end()) {
      ++i->second.lookups;
      found = i->second;
    }
  }
  std::this_thread::sleep_for(found.delay);
  if (found.what == fake_name::kind::unknown)
    return EAI_NONAME;
  return real("127.0.0.1", service, hints, result);
}
