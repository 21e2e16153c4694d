// Between the client's actor and the words of a provider.
//
// A provider plugs in as a wire_format: requests become what is sent, responses results; no I/O, no
// actors. spawn_provider_client does the rest, for every format.
#pragma once

#include <chainmail/call_context.hpp>
#include <chainmail/http.hpp>
#include <chainmail/llm.hpp>
#include <chainmail/llm/stream_calls.hpp>

#include <caf/expected.hpp>
#include <caf/fwd.hpp>

#include <functional>
#include <memory>
#include <string_view>

namespace chainmail {

class token_counter;

/// A request on its way.
struct wire_call {
  http_request post = {};
  /// Reads the response, and may use it up. Its errors hold no secrets, even if the server repeats
  /// them.
  std::function<caf::expected<llm_result>(http_response&)> read = {};
};

/// Lives in the state of one client, and outlives the calls that it made.
class wire_format {
public:
  virtual ~wire_format() = default;

  /// errc::invalid_input, naming the field, for a request that no endpoint would take.
  virtual caf::expected<wire_call> prepare(const llm_request& request, const call_id& id) = 0;

  /// The same for a stream.
  virtual caf::expected<stream_calls::plan> prepare_stream(
      const llm_request& request, const call_id& id) = 0;

  /// The model that a request is sent to.
  [[nodiscard]] virtual std::string_view model_of(const llm_request& request) const = 0;

  /// Whether a request goes out as a chat.
  [[nodiscard]] virtual bool is_chat(const llm_request& request) const = 0;

  [[nodiscard]] virtual const llm_parameters& defaults() const = 0;
};

/// Spawns a client that sends each request once, through `http`: no retries, no limits. It teaches
/// `counter`, or that of the process for null.
/// @throws std::invalid_argument for an invalid handle.
llm_actor spawn_provider_client(caf::actor_system& system, http_actor http,
    std::unique_ptr<wire_format> format, std::shared_ptr<token_counter> counter);

} // namespace chainmail
