// How many instructions one call takes, counted by valgrind: what a noisy machine cannot blur.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace chainmail::bench {

/// The instructions of chainmail's and CAF's code in a file of callgrind's. The C library and libcurl
/// are left out: theirs depend on their version and on the processor.
uint64_t own_instructions(std::string_view callgrind_output);

/// What the committed counts hold for: "g++ 12, CAF 0.18.7, x86_64".
std::string build_key();

/// Committed counts: lines of a key, a scenario and a number, with tabs between. Lines that begin
/// with # are comments.
class instruction_counts {
public:
  /// @throws std::invalid_argument with the number of a line that is none
  static instruction_counts parse(std::string_view text);

  [[nodiscard]] std::optional<uint64_t> find(
      const std::string& key, const std::string& scenario) const;

  void set(const std::string& key, const std::string& scenario, uint64_t count);

  /// Sorted, with a comment that says what it is.
  [[nodiscard]] std::string to_text() const;

private:
  std::map<std::string, std::map<std::string, uint64_t>> counts_;
};

/// From the committed count on either side, as a share of it.
inline constexpr double instruction_tolerance = 0.2;

/// Counts, and compares with the counts in a file, those of one scenario ("chain_only") or of all
/// ("compare"), or writes them there ("update"). The exit status: 1 when a call
/// takes more instructions than is tolerated, 77 when nothing can be compared here, 2 when the file
/// cannot be used, or there is no such scenario.
int check_instructions(const std::string& file, const std::string& what);

} // namespace chainmail::bench
