// Pairs of runs, one program at a time.
#include "report_run.hpp"

#include "measure.hpp"
#include "report_page.hpp"

#include <chainmail/version.hpp>

#include <caf/config.hpp>
#include <curl/curl.h>
#include <rapidjson/document.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <sys/utsname.h>
#include <terminal/terminal.hpp>
#include <thread>
#include <unistd.h>

namespace chainmail::bench {

namespace {

/// A folder that goes with the object.
class build_folder {
public:
  build_folder() {
    auto name = (std::filesystem::temp_directory_path() / "chainmail-bench-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr)
      throw std::runtime_error{"no folder can be made for the peers' programs"};
    path_ = name;
  }
  build_folder(const build_folder&) = delete;
  build_folder& operator=(const build_folder&) = delete;
  ~build_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
  std::filesystem::path path_;
};

// -- the machine --------------------------------------------------------------------------

std::string first_value(const char* file, const std::string& key) {
  std::ifstream in{file};
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key))
      return line.substr(std::min(line.find_first_not_of(" \t:", key.size()), line.size()));
  return "unknown";
}

std::string load_average() {
  std::array<double, 1> loads{};
  if (getloadavg(loads.data(), 1) != 1)
    return "unknown";
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%.1f", loads[0]);
  return text.data();
}

std::vector<std::pair<std::string, std::string>> describe_machine() {
  utsname kernel{};
  uname(&kernel);
  std::array<char, 40> date{};
  auto now = std::time(nullptr);
  tm broken_down{};
  std::strftime(date.data(), date.size(), "%F %H:%M UTC", gmtime_r(&now, &broken_down));
  return {{"date", date.data()}, {"cores", std::to_string(std::thread::hardware_concurrency())},
      {"processor", first_value("/proc/cpuinfo", "model name")},
      {"memory", first_value("/proc/meminfo", "MemTotal")},
      {"kernel", std::string{kernel.sysname} + " " + kernel.release},
      {"chainmail", std::to_string(CHAINMAIL_VERSION_MAJOR) + "." +
                        std::to_string(CHAINMAIL_VERSION_MINOR) + "." +
                        std::to_string(CHAINMAIL_VERSION_PATCH)},
      {"CAF", std::to_string(CAF_MAJOR_VERSION) + "." + std::to_string(CAF_MINOR_VERSION) + "." +
                  std::to_string(CAF_PATCH_VERSION)},
      {"libcurl", curl_version()},
#ifdef __clang__
      {"compiler", __VERSION__},
#else
      {"compiler", "g++ " __VERSION__},
#endif
#ifdef __OPTIMIZE__
      {"optimized", "yes"}};
#else
      {"optimized", "NO: measure nothing with this build"}};
#endif
}

// -- runs ---------------------------------------------------------------------------------

class reporter {
public:
  explicit reporter(const report_plan& plan)
    : plan_(plan),
      others_(plan.peers, folder_.path()),
      servers_(others_.has("mock_openai") ? others_.path("mock_openai") : std::string{}),
      steps_(steps_of(plan, servers_, others_)) {
    content_.machine = describe_machine();
    content_.machine.emplace_back("server", servers_.description());
    content_.machine.emplace_back("load before", load_average());
    content_.absent = others_.absent();
    content_.pairs = plan.pairs;
    content_.is_quick = plan.is_quick;
    content_.rates = frontier_rates(plan);
    content_.in_flight = in_flight_steps(plan);
  }

  void run_all() {
    for (size_t pair = 0; pair < plan_.pairs; ++pair)
      for (const auto& each : steps_)
        if (each.pairs == 0 || pair < each.pairs)
          ++all_;
    for (size_t pair = 0; pair < plan_.pairs; ++pair)
      for (const auto& each : steps_)
        if (each.pairs == 0 || pair < each.pairs)
          run(each, pair);
    show("");
  }

  report_content content() && {
    content_.machine.emplace_back("load after", load_average());
    content_.machine.emplace_back("took", std::to_string(std::lround(watch_.wall_s())) + " s");
    content_.rows = judge(content_.log);
    if (plan_.is_quick) // the bounds are of the whole loads
      for (auto& each : content_.rows)
        each.held = verdict::unbounded;
    return std::move(content_);
  }

private:
  void run(const step& what, size_t pair) {
    ++done_;
    if (what.is_needless && what.is_needless(content_.log, pair))
      return;
    show("pair " + std::to_string(pair + 1) + ", " + what.title);
    constexpr double patience_s = 300;
    auto is_soak = what.finds.front().first == "soak";
    auto server_before = servers_.cpu_s();
    auto ended = run_process(
        what.how.arguments, what.how.variables, what.how.folder, is_soak ? 1e6 : patience_s);
    auto server_share = (servers_.cpu_s() - server_before) / ended.wall_s;
    for (const auto& [name, read] : what.finds) {
      auto found = read(ended);
      if (found.empty() || found["errors"] > 0) {
        note_failure(name, pair, ended);
        continue;
      }
      found["server_share"] = server_share;
      content_.log.add(name, pair, std::move(found));
    }
    if (is_soak)
      read_memory(ended.out);
  }

  void note_failure(const std::string& run, size_t pair, const finished_process& ended) {
    constexpr size_t enough = 200;
    auto sentence = run;
    sentence.append(", pair ").append(std::to_string(pair + 1));
    sentence.append(", ended with status ").append(std::to_string(ended.status)).append(": ");
    content_.failed.push_back(
        sentence.append(ended.err, 0, std::min(ended.err.find('\n'), enough)));
  }

  /// [[seconds, KiB], ...]
  void read_memory(const std::string& json) {
    rapidjson::Document document;
    document.Parse<rapidjson::kParseIterativeFlag>(json.c_str());
    if (!document.IsObject() || !document.HasMember("rss_kib"))
      return;
    for (const auto& each : document["rss_kib"].GetArray()) {
      auto mib = each[1].GetDouble() / 1'024;
      content_.soak_memory.push_back({each[0].GetDouble(), mib, mib, mib});
    }
  }

  void show(const std::string& what) const {
    static const auto style = terminal::detect_style(STDERR_FILENO);
    auto progress = std::to_string(done_) + "/" + std::to_string(all_);
    if (!style.is_terminal) {
      if (!what.empty())
        std::cerr << progress << " " << what << '\n';
      return;
    }
    if (what.empty()) {
      std::cerr << "\r\033[K" << std::flush;
      return;
    }
    constexpr size_t width = 24;
    auto share = static_cast<double>(done_) / static_cast<double>(std::max<size_t>(all_, 1));
    auto room = std::max<size_t>(style.columns, 60) - width - 16;
    std::cerr << '\r' << terminal::draw_progress(share, width, style) << ' ' << progress << ' '
              << what.substr(0, room) << "\033[K" << std::flush;
  }

  report_plan plan_;
  build_folder folder_;
  peers others_;
  endpoints servers_;
  std::vector<step> steps_;
  report_content content_;
  stopwatch watch_;
  size_t done_ = 0;
  size_t all_ = 0;
};

/// The bounds on the terminal, too.
void print(const std::vector<row>& rows) {
  for (const auto& each : rows) {
    if (each.held != verdict::held && each.held != verdict::missed)
      continue;
    const auto& found = each.comparison ? each.comparison : each.ours;
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), "%.4g", found->median);
    std::cout << (each.held == verdict::held ? "held    " : "MISSED  ")
              << headings().at(each.heading) << ": " << each.what
              << (each.peer.empty() ? "" : " (" + each.peer + ")") << ": " << text.data() << ", "
              << each.bound << '\n';
  }
}

} // namespace

int write_report(const report_plan& plan) {
  std::ofstream file{plan.file};
  if (!file) {
    std::cerr << "error: " << plan.file << " cannot be written\n";
    return 1;
  }
  reporter all{plan};
  all.run_all();
  auto content = std::move(all).content();
  print(content.rows);
  for (const auto& sentence : content.failed)
    std::cerr << "failed: " << sentence << '\n';
  if (!(file << to_html(content) << std::flush)) {
    std::cerr << "error: " << plan.file << " cannot be written\n";
    return 1;
  }
  return content.failed.empty() ? 0 : 1;
}

} // namespace chainmail::bench
