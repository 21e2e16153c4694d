// Programs of others that do the same work, to measure beside: how they are built, called and read.
#pragma once

#include "run_log.hpp"

#include <chainmail/messages.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace chainmail::bench {

/// How one program is started.
struct command {
  std::vector<std::string> arguments;
  /// "NAME=value".
  std::vector<std::string> variables = {};
  std::string folder = {};
};

/// What a peer printed, in the words of our own scenarios.
run_figures read_curl_multi(std::string_view printed);
/// The last of its waves, or the first: it prints a line for each, and one for all.
run_figures read_sharded_curl(std::string_view printed, bool first_wave);
run_figures read_langchain(std::string_view printed);
/// The last round of LLMChain.invoke.
run_figures read_langchain_nonet(std::string_view printed);

/// The peers whose sources are in a folder, built into another one.
class peers {
public:
  /// Builds what it finds; what is missing is in absent().
  peers(const std::filesystem::path& sources, const std::filesystem::path& build_folder);

  [[nodiscard]] bool has(const std::string& name) const;

  /// The program, or the folder of a script. Only for those that are there.
  [[nodiscard]] std::string path(const std::string& name) const;

  /// A sentence for each.
  [[nodiscard]] const std::vector<std::string>& absent() const { return absent_; }

private:
  void build(const std::string& name, const std::string& file,
      const std::vector<std::string>& compiler, const std::vector<std::string>& libraries);

  std::filesystem::path sources_;
  std::filesystem::path build_folder_;
  std::map<std::string, std::string> paths_;
  std::vector<std::string> absent_;
};

} // namespace chainmail::bench
