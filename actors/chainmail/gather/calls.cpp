// The blocking calls.
#include <chainmail/gather/calls.hpp>

#include <caf/actor_system.hpp>

namespace chainmail {

namespace {

template <class Result, class Handle>
caf::expected<Result> wait_for(Handle response, const char* who) {
  caf::expected<Result> result{caf::error{}};
  std::move(response).receive([&result](Result& x) { result = std::move(x); },
      [&result, who](caf::error& error) { result = to_failure(std::move(error), who); });
  return result;
}

} // namespace

caf::expected<values> call(
    caf::scoped_actor& self, const chain_actor& chain, values inputs, caf::timespan timeout) {
  return wait_for<values>(
      call(self.ptr(), chain, std::move(inputs), make_context(self.ptr(), timeout)), "the chain");
}

caf::expected<llm_result> generate(
    caf::scoped_actor& self, const llm_actor& llm, llm_request request, caf::timespan timeout) {
  return wait_for<llm_result>(
      generate(self.ptr(), llm, std::move(request), make_context(self.ptr(), timeout)), "the LLM");
}

caf::expected<llm_result> generate(
    caf::scoped_actor& self, const llm_actor& llm, std::string prompt, caf::timespan timeout) {
  llm_request request;
  request.prompts.push_back(std::move(prompt));
  return generate(self, llm, std::move(request), timeout);
}

caf::expected<std::vector<outcome>> gather(caf::scoped_actor& self, const chain_actor& chain,
    std::vector<values> inputs, gather_options options, caf::timespan timeout) {
  return wait_for<std::vector<outcome>>(gather(self.ptr(), chain, std::move(inputs),
                                            std::move(options), make_context(self.ptr(), timeout)),
      "the gather");
}

} // namespace chainmail
