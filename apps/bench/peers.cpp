// Compilers and printed lines.
#include "peers.hpp"

#include "processes.hpp"

#include <cstdlib>
#include <stdexcept>

namespace chainmail::bench {

namespace {

constexpr auto lang_chain = "LangChain.js";

/// The lines of a text that hold a word.
std::vector<std::string> lines_with(std::string_view text, std::string_view word) {
  std::vector<std::string> result;
  while (!text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.find(word) != std::string_view::npos)
      result.emplace_back(line);
  }
  return result;
}

/// The number after a word; nothing without one.
std::optional<double> number_after(const std::string& text, std::string_view word) {
  auto found = text.find(word);
  if (found == std::string::npos)
    return std::nullopt;
  const auto* begin = text.c_str() + found + word.size();
  char* end = nullptr;
  auto result = std::strtod(begin, &end);
  return end == begin ? std::nullopt : std::optional{result};
}

void add_number(run_figures& to, const char* figure, std::optional<double> number) {
  if (number)
    to.emplace(figure, *number);
}

/// The last line that is a JSON object with errors under another name.
run_figures read_json_line(
    std::string_view printed, const std::string& cpu, const std::string& bad) {
  auto lines = lines_with(printed, "\"client\"");
  if (lines.empty())
    return {};
  auto result = figures_in(lines.back());
  if (auto found = result.find(cpu); found != result.end())
    result.emplace("cpu_us_per_call", found->second);
  auto found = result.find(bad);
  result["errors"] = found != result.end() ? found->second : 0;
  return result;
}

} // namespace

run_figures read_curl_multi(std::string_view printed) {
  return read_json_line(printed, "cpu_us_per_req", "bad");
}

run_figures read_langchain(std::string_view printed) {
  return read_json_line(printed, "cpu_us_per_req", "bad");
}

run_figures read_sharded_curl(std::string_view printed, bool first_wave) {
  run_figures result;
  auto waves = lines_with(printed, "  wave ");
  auto all = lines_with(printed, "| engine cpu ");
  if (waves.empty() || all.empty())
    return result;
  const auto& wave = first_wave ? waves.front() : waves.back();
  add_number(result, "wall_s", number_after(wave, "wall "));
  add_number(result, "cpu_s", number_after(wave, " cpu "));
  add_number(result, "cpu_us_per_call", number_after(wave, " s ("));
  add_number(result, "peak_rss_kib", number_after(all.back(), " peak "));
  add_number(result, "errors", number_after(all.back(), " err "));
  return result;
}

run_figures read_langchain_nonet(std::string_view printed) {
  run_figures result;
  auto rounds = lines_with(printed, "LLMChain.invoke");
  if (rounds.empty())
    return result;
  auto wall_us = number_after(rounds.back(), "no network: ");
  if (!wall_us || *wall_us <= 0)
    return result;
  result.emplace("rps", 1e6 / *wall_us);
  add_number(result, "cpu_us_per_call", number_after(rounds.back(), " us wall, "));
  return result;
}

peers::peers(const std::filesystem::path& sources, const std::filesystem::path& build_folder)
  : sources_(sources), build_folder_(build_folder) {
  build("mock_openai", "mock_openai.c", {"cc", "-O2"}, {});
  build("curl_multi", "curl_multi.c", {"cc", "-O2"}, {"-lcurl"});
  build("raw_epoll", "raw_epoll.c", {"cc", "-O2"}, {});
  build("sharded_curl", "sharded_curl.cpp", {"c++", "-std=c++20", "-O2"}, {"-lcurl", "-lpthread"});
  auto scripts = sources_ / "langchain-js";
  if (!std::filesystem::exists(scripts / "bench_lc.mjs"))
    absent_.push_back(std::string{lang_chain} + ": there is no langchain-js/bench_lc.mjs");
  else if (!std::filesystem::exists(scripts / "node_modules"))
    absent_.push_back(std::string{lang_chain} + ": its packages are not installed (npm install)");
  else
    paths_.emplace(lang_chain, scripts.string());
}

bool peers::has(const std::string& name) const {
  return paths_.contains(name);
}

std::string peers::path(const std::string& name) const {
  return paths_.at(name);
}

void peers::build(const std::string& name, const std::string& file,
    const std::vector<std::string>& compiler, const std::vector<std::string>& libraries) {
  auto source = sources_ / file;
  if (sources_.empty() || !std::filesystem::exists(source)) {
    absent_.push_back(name + ": there is no " + file);
    return;
  }
  auto program = (build_folder_ / name).string();
  auto arguments = compiler;
  arguments.insert(arguments.end(), {"-w", "-o", program, source.string()});
  arguments.insert(arguments.end(), libraries.begin(), libraries.end());
  try {
    if (run_process(arguments).status == 0)
      paths_.emplace(name, program);
    else
      absent_.push_back(name + ": " + file + " does not compile here");
  } catch (const std::runtime_error& error) {
    absent_.push_back(name + ": " + error.what());
  }
}

} // namespace chainmail::bench
