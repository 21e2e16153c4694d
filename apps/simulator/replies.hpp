// What the simulator answers: JSON text of a request in, JSON text of the answer out. No sockets.

#pragma once

#include "reply.hpp"
#include "requests.hpp"
#include "streamed_reply.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace chainmail::simulator {

/// A status, and a JSON body or a stream of events in its place.
struct answer {
  unsigned status = 200;
  std::string body = {};
  std::uint64_t tokens = 0; ///< the total of its usage
  std::unique_ptr<streamed_reply> stream = {};
};

/// OpenAI's error shape. An empty `param` or `code` becomes null.
answer error_answer(unsigned status, std::string_view message, std::string_view type,
    std::string_view param = {}, std::string_view code = {});

/// What a path stands for.
struct route {
  enum class endpoint { none, completions, chat, messages, embeddings, models, stats };

  endpoint to = endpoint::none;
  /// The deployment's name in Azure's paths, which stands for the model there; else empty.
  std::string_view deployment = {};
};

/// `target` is a request's path with its query, which is ignored.
route find_route(std::string_view target);

/// Stands where a model would. Names that it invents vary with the seed, the prompt and the number of
/// replies given so far; everything else about the replies follows from the request.
class responder {
public:
  /// An empty `models` accepts any model. `long_reply` is how many tokens a reply to a prompt of no
  /// known kind has; 0: as many as it takes to say so.
  explicit responder(
      std::uint64_t seed = 0, std::vector<std::string> models = {}, std::uint64_t long_reply = 0);

  answer complete(std::string_view json, std::string_view deployment = {});
  /// `breaks_schema`: what has to fit a schema does not.
  answer chat(std::string_view json, std::string_view deployment = {}, bool breaks_schema = false);
  /// As Anthropic's endpoint of that name.
  answer messages(std::string_view json, bool breaks_schema = false);
  answer embed_inputs(std::string_view json, std::string_view deployment = {}) const;
  answer list_models() const;

private:
  void check_model(const std::string& model) const;
  std::string invent_reply(std::string_view prompt);
  model_reply begin_reply(std::string_view id_prefix, const generation& request);
  /// Cuts the text where the request says so.
  void add_choice(model_reply& to, std::string_view text, const generation& request) const;
  void add_calls(model_reply& to, std::vector<tool_call> calls, const generation& request);
  model_reply converse(std::string_view id_prefix, const generation& request, bool breaks_schema);
  std::string say(const generation& request);
  std::string next_id(std::string_view prefix);

  std::uint64_t seed_;
  std::vector<std::string> models_;
  std::uint64_t long_reply_;
  std::uint64_t replies_ = 0;
  std::uint64_t answers_ = 0;
  std::uint64_t calls_ = 0;
};

} // namespace chainmail::simulator
