// Ask, check, and ask once more.
#include <chainmail/chains/chain_job.hpp>
#include <chainmail/chains/structured_chain.hpp>
#include <chainmail/json/find_json.hpp>
#include <chainmail/json/json_schema.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>

#include <stdexcept>

namespace chainmail {

namespace {

struct structured_call {
  job_ptr job;
  llm_request request;
  bool is_repair = false;
};

using structured_call_ptr = std::shared_ptr<structured_call>;

/// "/items/2/price is a string; ...", with the pointer where the sentence does not begin with it.
std::string what_is_wrong(const json_violation& violation) {
  constexpr size_t longest_pointer = 200;
  if (violation.pointer.empty() || violation.sentence.starts_with(violation.pointer))
    return violation.sentence;
  return violation.sentence + " (at " + one_line(violation.pointer, longest_pointer) + ")";
}

class structured_state : public chain_state {
public:
  structured_state(llm_actor llm, llm_prompt prompt, std::string schema_text, json_schema schema,
      structured_options options)
    : llm_(std::move(llm)),
      prompt_(std::move(prompt)),
      schema_text_(std::move(schema_text)),
      schema_(std::move(schema)),
      options_(std::move(options)) {}

  void run(const job_ptr& job) override {
    auto call = std::make_shared<structured_call>();
    call->job = job;
    auto& request = call->request;
    if (auto error = prompt_.fill(request, job->inputs))
      return job->fail(std::move(error));
    if (!request.prompts.empty()) {
      request.messages.push_back({"user", std::move(request.prompts.front())});
      request.prompts.clear();
    }
    tell_schema(request.messages);
    request.parameters = options_.parameters;
    if (options_.sends_schema)
      request.response_schema = schema_text_;
    ask(call);
  }

private:
  /// In the system message that is there, if there is one: not all models take two.
  void tell_schema(std::vector<chat_message>& messages) const {
    auto text =
        "Answer with one JSON document that fits this JSON schema, and with nothing else:\n" +
        schema_text_;
    if (!messages.empty() && messages.front().role == "system")
      messages.front().content += "\n\n" + text;
    else
      messages.insert(messages.begin(), {"system", std::move(text)});
  }

  void ask(const structured_call_ptr& call) {
    auto request = call->request;
    call->job->ask<llm_result>(
        llm_, [this, call](llm_result& result) { check(call, result); }, generate_atom_v,
        std::move(request));
  }

  void check(const structured_call_ptr& call, llm_result& result) {
    if (result.completions.empty())
      return call->job->fail(
          make_failure(errc::malformed_response, "the LLM answered without a completion"));
    const auto& answer = result.completions.front();
    auto json = find_json(answer.text);
    auto violation = schema_.check(json);
    if (!violation) {
      values outputs;
      outputs.emplace(options_.output_key, std::string{json});
      return call->job->answer(std::move(outputs));
    }
    auto wrong = what_is_wrong(*violation);
    if (answer.finish_reason == "length")
      return fail(call, wrong + "; the answer was cut off at its token limit, which "
                                "llm_parameters::max_tokens sets");
    if (call->is_repair)
      return fail(call, wrong + "; the model was told once what was wrong");
    call->is_repair = true;
    call->request.messages.push_back({"assistant", answer.text});
    call->request.messages.push_back({"user", "That does not fit the schema: " + wrong +
                                                  ".\nAnswer with the whole document, corrected, "
                                                  "and with nothing else."});
    ask(call);
  }

  static void fail(const structured_call_ptr& call, const std::string& what) {
    call->job->fail(make_failure(
        errc::malformed_response, "the model's answer does not fit the JSON schema: " + what));
  }

  llm_actor llm_;
  llm_prompt prompt_;
  std::string schema_text_;
  json_schema schema_;
  structured_options options_;
};

} // namespace

chain_actor spawn_structured_chain(caf::actor_system& system, llm_actor llm, llm_prompt prompt,
    std::string schema, structured_options options) {
  if (!llm)
    throw std::invalid_argument{"a structured chain needs a valid LLM actor"};
  auto parsed = json_schema::parse(schema);
  if (!parsed)
    throw std::invalid_argument{sentence_of(parsed.error())};
  chain_description description{prompt.input_variables(), {options.output_key}};
  return spawn_chain(system, std::move(description),
      std::make_unique<structured_state>(std::move(llm), std::move(prompt), std::move(schema),
          std::move(*parsed), std::move(options)),
      "structured");
}

} // namespace chainmail
