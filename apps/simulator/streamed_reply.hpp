// A reply token by token, whatever the provider's format.

#pragma once

#include "reply.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail::simulator {

/// Holds the reply once and writes each event when its time has come.
class streamed_reply {
public:
  explicit streamed_reply(model_reply whole);
  virtual ~streamed_reply() = default;

  streamed_reply(const streamed_reply&) = delete;
  streamed_reply& operator=(const streamed_reply&) = delete;

  /// How many tokens the longest choice has; at least 1.
  std::size_t steps() const { return steps_; }
  bool is_over() const { return step_ == steps_; }

  /// Appends the events of every choice's next token. The first step brings what opens a stream with
  /// it, the last what ends it. To be called until is_over().
  void next(std::string& events);

  /// Appends what the provider sends when something goes wrong in the middle.
  virtual void append_error(std::string& events) const = 0;

protected:
  struct piece {
    std::size_t choice = 0;
    const tool_call* call = nullptr; ///< null: of the choice's text
    std::size_t call_index = 0;
    std::string_view text = {};
    bool is_first = false; ///< of its text or call
    bool is_last = false;
  };

  virtual void open(std::string& events) = 0;
  virtual void append(std::string& events, const piece& next) = 0;
  virtual void end_choice(std::string& events, std::size_t choice) = 0;
  virtual void close(std::string& events) = 0;

  const model_reply& whole() const { return whole_; }

private:
  piece piece_at(std::size_t choice, std::size_t step) const;

  model_reply whole_;
  std::vector<std::size_t> sizes_; ///< of the choices, in steps
  std::size_t steps_ = 1;
  std::size_t step_ = 0;
};

} // namespace chainmail::simulator
