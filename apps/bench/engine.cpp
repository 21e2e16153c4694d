// The HTTP actors alone: the same requests as `fanout`, without chain, client and policies.
#include "closed_loop.hpp"
#include "scenarios.hpp"
#include "stack.hpp"

namespace chainmail::bench {

namespace {

constexpr auto engine_body =
    R"({"model":"gpt-3.5-turbo-instruct","prompt":["What is a good name for a company that makes )"
    R"(toothpaste?"],"temperature":0.7,"max_tokens":256})";

loop_plan fetches(const http_actor& http, const load& how_much) {
  http_request request;
  request.url = how_much.llm.endpoint.base_url + "/completions";
  request.headers = {{"Content-Type", "application/json"}};
  request.body = engine_body;
  loop_plan result;
  result.to = caf::actor_cast<caf::actor>(http);
  result.in_flight = how_much.in_flight;
  result.request = [request = std::move(request)](const call_context& context) {
    return caf::make_message(fetch_atom_v, request, context);
  };
  result.check = [](const caf::message& reply) -> caf::error {
    if (auto response = caf::make_const_typed_message_view<http_response>(reply);
        response && caf::get<0>(response).status == 200)
      return {};
    return make_failure(errc::malformed_response, "the endpoint did not answer with status 200");
  };
  return result;
}

} // namespace

caf::expected<figures> engine(caf::actor_system& system, const load& how_much) {
  auto http = spawn_http_for(system, how_much.in_flight);
  auto plan = fetches(http, how_much);
  if (how_much.warm_up > 0) {
    plan.calls = how_much.warm_up;
    run_loop(system, plan);
  }
  plan.calls = how_much.calls;
  return run_loop(system, plan);
}

} // namespace chainmail::bench
