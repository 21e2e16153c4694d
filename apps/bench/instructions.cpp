// Runs of two lengths under callgrind: their difference has no start-up in it.
#include "instructions.hpp"

#include "processes.hpp"

#include <caf/config.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <unistd.h>
#include <vector>

namespace chainmail::bench {

namespace {

constexpr auto skipped = 77;

/// Takes the first line off a text.
std::string_view next_line(std::string_view& text) {
  auto line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

std::optional<uint64_t> number_in(std::string_view text) {
  uint64_t result = 0;
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), result);
  if (failed != std::errc{} || end != text.data() + text.size())
    return std::nullopt;
  return result;
}

/// Which objects of a process are ours. Callgrind says a path once and a number from then on: "(3) /usr/lib/libc.so.6", "(3)".
class objects {
public:
  bool is_ours(std::string_view name) {
    auto end = name.find(')');
    auto number = name.substr(0, end);
    if (end == std::string_view::npos || end + 1 >= name.size())
      return ours_[std::string{number}];
    auto file = name.substr(name.rfind('/') + 1);
    return ours_[std::string{number}] = file.find("chainmail") != std::string_view::npos ||
                                        file.find("libcaf") != std::string_view::npos;
  }

private:
  std::map<std::string, bool> ours_;
};

/// One scenario, in two lengths.
struct counted_scenario {
  const char* name;
  size_t few;
  size_t many;
  const char* in_flight;
  bool needs_endpoint;
};

constexpr std::array counted = {
    counted_scenario{"chain_only", 1'000, 3'000, "100", false},
    counted_scenario{"fanout", 100, 400, "1", true},
};

class counter {
public:
  counter() {
    auto name = (std::filesystem::temp_directory_path() / "chainmail-callgrind-XXXXXX").string();
    auto made = mkstemp(name.data());
    if (made < 0)
      throw std::runtime_error{"there is no room for a temporary file"};
    close(made);
    file_ = name;
  }
  counter(const counter&) = delete;
  counter& operator=(const counter&) = delete;
  ~counter() {
    std::error_code ignored;
    std::filesystem::remove(file_, ignored);
  }

  /// Nothing when it could not be counted; `why` then says so.
  std::optional<uint64_t> per_call(const counted_scenario& what) {
    auto few = total(what, what.few);
    auto many = few ? total(what, what.many) : std::nullopt;
    if (!many || *many <= *few)
      return std::nullopt;
    return (*many - *few) / (what.many - what.few);
  }

  [[nodiscard]] const std::string& why() const { return why_; }

private:
  std::optional<uint64_t> total(const counted_scenario& what, size_t calls) {
    // One thread of the scheduler: how often two of them steal from each other is a matter of chance.
    std::vector<std::string> arguments{"--scenario=" + std::string{what.name},
        "--calls=" + std::to_string(calls), "--in-flight=" + std::string{what.in_flight},
        "--caf.scheduler.max-threads=1"};
    std::optional<endpoint_process> server;
    if (what.needs_endpoint)
      arguments.push_back("--base-url=" + server.emplace("0ms").base_url());
    arguments = this_program(std::move(arguments));
    arguments.insert(arguments.begin(),
        {"valgrind", "--tool=callgrind", "--callgrind-out-file=" + file_.string()});
    constexpr double patience_s = 25;
    try {
      auto ended = run_process(arguments, {}, {}, patience_s);
      if (ended.status != 0) {
        why_ = "it ended with status " + std::to_string(ended.status);
        return std::nullopt;
      }
    } catch (const std::runtime_error& error) {
      why_ = error.what();
      return std::nullopt;
    }
    std::ifstream in{file_};
    return own_instructions(std::string{std::istreambuf_iterator<char>{in}, {}});
  }

  std::filesystem::path file_;
  std::string why_;
};

std::optional<instruction_counts> read_counts(const std::string& file) {
  std::ifstream in{file};
  if (!in)
    return std::nullopt;
  try {
    return instruction_counts::parse(std::string{std::istreambuf_iterator<char>{in}, {}});
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument{file + ": " + error.what()};
  }
}

bool is_optimized() {
#if defined(__OPTIMIZE__) && defined(NDEBUG)
  return true;
#else
  return false;
#endif
}

/// Says how the count compares; false when it is more than is tolerated.
bool compare(const char* scenario, uint64_t found, uint64_t committed) {
  auto change = static_cast<double>(found) / static_cast<double>(committed) - 1;
  std::printf("%s: %llu instructions a call of chainmail and CAF, committed %llu (%+.1f %%)\n",
      scenario, static_cast<unsigned long long>(found), static_cast<unsigned long long>(committed),
      change * 100);
  if (change > instruction_tolerance) {
    std::printf("%s: more than %.0f %% over what is committed. If that is wanted: --check=update\n",
        scenario, instruction_tolerance * 100);
    return false;
  }
  if (change < -instruction_tolerance)
    std::printf("%s: much less than before; --check=update keeps it that way\n", scenario);
  return true;
}

} // namespace

uint64_t own_instructions(std::string_view callgrind_output) {
  objects known;
  uint64_t result = 0;
  auto is_ours = false;
  auto is_of_a_call = false; // the line after calls= has what the callee took
  while (!callgrind_output.empty()) {
    auto line = next_line(callgrind_output);
    if (line.starts_with("ob=")) {
      is_ours = known.is_ours(line.substr(3));
    } else if (line.starts_with("cob=")) {
      known.is_ours(line.substr(4));
    } else if (line.starts_with("calls=")) {
      is_of_a_call = true;
    } else if (!line.empty() &&
               std::string_view{"0123456789+-*"}.find(line[0]) != std::string_view::npos) {
      if (auto cost = number_in(line.substr(line.rfind(' ') + 1)); cost && is_ours && !is_of_a_call)
        result += *cost;
      is_of_a_call = false;
    }
  }
  return result;
}

std::string build_key() {
#ifdef __clang__
  auto result = "clang++ " + std::to_string(__clang_major__);
#else
  auto result = "g++ " + std::to_string(__GNUC__);
#endif
  result += ", CAF " + std::to_string(CAF_MAJOR_VERSION) + "." + std::to_string(CAF_MINOR_VERSION) +
            "." + std::to_string(CAF_PATCH_VERSION);
#ifdef __x86_64__
  return result + ", x86_64";
#else
  return result + ", another processor";
#endif
}

instruction_counts instruction_counts::parse(std::string_view text) {
  instruction_counts result;
  for (size_t number = 1; !text.empty(); ++number) {
    auto line = next_line(text);
    if (line.empty() || line.starts_with('#'))
      continue;
    auto first = line.find('\t');
    auto second = line.find('\t', std::min(first, line.size() - 1) + 1);
    auto count =
        second == std::string_view::npos ? std::nullopt : number_in(line.substr(second + 1));
    if (!count || *count == 0)
      throw std::invalid_argument{"line " + std::to_string(number) +
                                  " is not a build, a scenario and a number with tabs between"};
    result.set(std::string{line.substr(0, first)},
        std::string{line.substr(first + 1, second - first - 1)}, *count);
  }
  return result;
}

std::optional<uint64_t> instruction_counts::find(
    const std::string& key, const std::string& scenario) const {
  auto build = counts_.find(key);
  if (build == counts_.end())
    return std::nullopt;
  auto found = build->second.find(scenario);
  return found == build->second.end() ? std::nullopt : std::optional{found->second};
}

void instruction_counts::set(const std::string& key, const std::string& scenario, uint64_t count) {
  counts_[key][scenario] = count;
}

std::string instruction_counts::to_text() const {
  std::string result =
      "# Instructions of chainmail and CAF that one call takes, by build and scenario: "
      "./run bench --check=update\n";
  for (const auto& [key, scenarios] : counts_)
    for (const auto& [scenario, count] : scenarios)
      result.append(key)
          .append("\t")
          .append(scenario)
          .append("\t")
          .append(std::to_string(count))
          .append("\n");
  return result;
}

int check_instructions(const std::string& file, const std::string& what) {
  auto update = what == "update";
  auto all = update || what == "compare";
  if (!all && std::ranges::none_of(counted, [&](const auto& each) { return what == each.name; })) {
    std::cerr << "error: --check is given alone, as --check=update, or with chain_only or fanout\n";
    return 2;
  }
  auto committed = read_counts(file);
  if (!committed && !update) {
    std::cerr << "error: there is no " << file << ": --check=update writes it\n";
    return 2;
  }
  if (!is_optimized()) {
    std::cerr << "nothing to compare: this program was built without optimization\n";
    return skipped;
  }
  auto counts = committed.value_or(instruction_counts{});
  auto status = 0;
  counter with;
  for (const auto& each : counted) {
    if (!all && what != each.name)
      continue;
    auto expected = counts.find(build_key(), each.name);
    if (!expected && !update) {
      std::cerr << "nothing to compare: " << file << " has no " << each.name << " of "
                << build_key() << "; --check=update adds it\n";
      return status != 0 ? status : skipped;
    }
    auto found = with.per_call(each);
    if (!found) {
      std::cerr << "nothing to compare: valgrind did not count " << each.name << ": " << with.why()
                << '\n';
      return status != 0 ? status : skipped;
    }
    if (update)
      std::printf(
          "%s: %llu instructions a call\n", each.name, static_cast<unsigned long long>(*found));
    else if (!compare(each.name, *found, *expected))
      status = 1;
    counts.set(build_key(), each.name, *found);
  }
  if (update && !(std::ofstream{file} << counts.to_text() << std::flush)) {
    std::cerr << "error: " << file << " cannot be written\n";
    return 2;
  }
  return status;
}

} // namespace chainmail::bench
