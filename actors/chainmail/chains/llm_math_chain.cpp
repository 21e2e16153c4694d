// Asking for an expression.
#include <chainmail/chains/chain_job.hpp>
#include <chainmail/chains/llm_math_chain.hpp>
#include <chainmail/chains/llm_math_reply.hpp>
#include <chainmail/prompts/prompt_template.hpp>

#include <caf/expected.hpp>

#include <stdexcept>

namespace chainmail {

namespace {

constexpr auto math_prompt =
    R"(Translate the question into one arithmetic expression that a calculator can evaluate: numbers, + - * / ** %, parentheses and functions such as sqrt, round and log. Write the expression between the fences and nothing else; the calculator writes the output.

Question: A box holds 12 rows of 34 eggs. 5 eggs are broken. How many are whole?
```expression
12 * 34 - 5
```
```output
403
```
Answer: 403

Question: What is the fifth root of 7776?
```expression
7776 ** (1 / 5)
```
```output
6
```
Answer: 6

Question: {question}
)";

class llm_math_state : public chain_state {
public:
  llm_math_state(llm_actor llm, llm_math_options options)
    : llm_(std::move(llm)), options_(std::move(options)) {}

  void run(const job_ptr& job) override {
    auto text = prompt_.format_from(job->inputs);
    if (!text)
      return job->fail(std::move(text.error()));
    llm_request request;
    request.prompts.push_back(std::move(*text));
    request.stop = {"```output"};
    request.parameters = options_.parameters;
    job->ask<llm_result>(
        llm_,
        [job](llm_result& result) {
          auto answer = read_math_reply(result.completions.empty() ? "" : result.text());
          if (!answer)
            return job->fail(std::move(answer.error()));
          values outputs;
          outputs.emplace("answer", std::move(*answer));
          job->answer(std::move(outputs));
        },
        generate_atom_v, std::move(request));
  }

private:
  llm_actor llm_;
  llm_math_options options_;
  prompt_template prompt_ = math_prompt;
};

} // namespace

chain_actor spawn_llm_math_chain(
    caf::actor_system& system, llm_actor llm, llm_math_options options) {
  if (!llm)
    throw std::invalid_argument{"an LLM math chain needs a valid LLM actor"};
  return spawn_chain(system, {{"question"}, {"answer"}},
      std::make_unique<llm_math_state>(std::move(llm), std::move(options)), "llm_math");
}

} // namespace chainmail
