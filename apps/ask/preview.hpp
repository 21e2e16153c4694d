// The model's text while it comes, on a line that is written over.
#pragma once

#include <chainmail/messages.hpp>

#include <caf/fwd.hpp>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <terminal/terminal.hpp>

namespace chainmail::asking {

/// Shows the end of the newest answer of a model on standard error, twenty times a second at most.
/// Callable from any thread.
class preview {
public:
  explicit preview(const terminal::terminal_style& style) : style_(style) {}

  /// Shows nothing before begin() and after end(), which wipes the line.
  void begin();
  void add(const call_id& call, std::string_view text);
  void end();

private:
  const terminal::terminal_style style_;
  std::mutex mutex_;
  bool is_shown_ = false;
  call_id newest_;
  std::string text_;
  std::chrono::steady_clock::time_point next_show_{};
};

/// Spawns an LLM that makes streams of calls: whoever asks it gets the whole answer from `llm`, and the
/// preview gets the text as it comes.
llm_actor spawn_previewed(caf::actor_system& system, llm_actor llm, std::shared_ptr<preview> where);

} // namespace chainmail::asking
