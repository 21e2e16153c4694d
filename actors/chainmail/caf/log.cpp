// Lines for CAF's logger, whose interface is another in each version.
#include <chainmail/caf/compat.hpp>
#include <chainmail/caf/log.hpp>
#include <chainmail/errors.hpp>

#include <caf/abstract_actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_system.hpp>
#include <caf/detail/log_level.hpp>
#include <caf/logger.hpp>

#include <algorithm>
#include <cstdio>
#include <string>
#include <thread>

namespace chainmail {

namespace {

const auto component = compat::view("chainmail");

void write_line(caf::logger& log, unsigned level, std::string line) {
#if CAF_MAJOR_VERSION >= 1
  log.legacy_api_log(level, component, std::move(line));
#else
  log.log(caf::logger::event{level, __LINE__, component, compat::view(__func__),
      compat::view(__func__), compat::view("log.cpp"), std::move(line), std::this_thread::get_id(),
      caf::logger::thread_local_aid(), caf::make_timestamp()});
#endif
}

/// Without line breaks and other controls, and cut between characters.
std::string without_line_breaks(std::string text) {
  constexpr size_t longest = 500;
  if (text.size() > longest) {
    auto end = longest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
      --end;
    text.resize(end);
    text += "...";
  }
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, ' ');
  return text;
}

} // namespace

void log_failure(caf::actor_system& system, std::string_view actor, const call_id& id,
    caf::timespan took, const caf::error& why) {
  auto code = code_of(why);
  unsigned level = code == errc::cancelled ? CAF_LOG_LEVEL_INFO : CAF_LOG_LEVEL_ERROR;
  auto& log = system.logger();
  if (!log.accepts(level, component))
    return;
  char name[48];
  std::snprintf(name, sizeof name, "call=%016llx-%016llx", static_cast<unsigned long long>(id.root),
      static_cast<unsigned long long>(id.step));
  char duration[48];
  std::snprintf(
      duration, sizeof duration, " took=%.3fs: ", std::chrono::duration<double>(took).count());
  auto line = std::string{name} + " actor=";
  line += actor;
  line += " code=";
  line += to_string(code);
  line += duration;
  line += without_line_breaks(sentence_of(why));
  write_line(log, level, std::move(line));
}

bool is_logged(const caf::strong_actor_ptr& from, const caf::error& why) {
  return from && code_of(why) != errc::shut_down &&
         dynamic_cast<const logs_failures*>(caf::actor_cast<caf::abstract_actor*>(from)) != nullptr;
}

} // namespace chainmail
