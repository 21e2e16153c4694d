// Remember, condense, retrieve, answer, remember.
#include <chainmail/chains/chain_job.hpp>
#include <chainmail/chains/llm_chain.hpp>
#include <chainmail/chains/wiring.hpp>
#include <chainmail/documents/chat_history.hpp>
#include <chainmail/documents/chat_vector_db_chain.hpp>
#include <chainmail/documents/documents_slot.hpp>
#include <chainmail/documents/qa_prompts.hpp>
#include <chainmail/memory/conversation_key.hpp>
#include <chainmail/memory/show_conversation.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <stdexcept>

namespace chainmail {

using namespace std::literals;

void cut_documents(
    std::vector<scored_document>& documents, size_t most, const token_measure& count_tokens) {
  size_t total = 0;
  for (auto i = documents.begin(); i != documents.end(); ++i) {
    total += count_tokens(i->found.content);
    if (total > most) {
      documents.erase(i, documents.end());
      return;
    }
  }
}

namespace {

constexpr auto chat_history = "chat_history";
constexpr auto source_documents = "source_documents";

/// One question on its way.
struct chat_call {
  job_ptr job;
  /// As the human put it.
  std::string question;
  /// Empty when nothing is to be remembered.
  std::string conversation_key;
  values inputs;
  /// Besides the answer.
  values outputs;
};

using chat_call_ptr = std::shared_ptr<chat_call>;

class chat_vector_db_state : public chain_state {
public:
  chat_vector_db_state(retriever_actor retriever, std::string condensed_output,
      chain_description documents_wiring, std::string answer_output, chat_vector_db_options options)
    : retriever_(std::move(retriever)),
      condensed_output_(std::move(condensed_output)),
      documents_wiring_(std::move(documents_wiring)),
      answer_output_(std::move(answer_output)),
      options_(std::move(options)) {}

  void run(const job_ptr& job) override {
    auto call = std::make_shared<chat_call>();
    call->job = job;
    call->inputs = std::move(job->inputs);
    auto question = get_text(call->inputs, "question");
    if (!question)
      return job->fail(std::move(question.error()));
    call->question = std::move(*question);
    if (options_.memory) {
      auto key = conversation_key(call->inputs);
      if (!key)
        return job->fail(std::move(key.error()));
      call->conversation_key = std::move(*key);
    }
    if (auto given = call->inputs.find(chat_history); given != call->inputs.end()) {
      auto history = read_chat_history(given->second);
      if (!history)
        return job->fail(std::move(history.error()));
      condense(call, *history);
    } else if (options_.memory) {
      job->ask<conversation>(
          options_.memory, [this, call](conversation& history) { condense(call, history); },
          load_atom_v, call->conversation_key);
    } else {
      condense(call, {});
    }
  }

  [[nodiscard]] bool streams() const override { return may_stream(options_.documents_chain); }

private:
  void condense(const chat_call_ptr& call, const conversation& history) {
    auto text = show_conversation(history);
    auto is_first = text.empty();
    call->inputs.insert_or_assign(chat_history, std::move(text));
    if (is_first)
      return retrieve(call, call->question);
    call->job->ask<values>(
        options_.condense_chain,
        [this, call](values& found) {
          auto standalone = take_text(found, condensed_output_, "the condense chain");
          if (!standalone)
            return call->job->fail(std::move(standalone.error()));
          // A model that answers with nothing has not understood; the human's own words may do.
          auto is_blank = trimmed(*standalone).empty();
          retrieve(call, is_blank ? call->question : std::move(*standalone));
        },
        call_atom_v, call->inputs);
  }

  void retrieve(const chat_call_ptr& call, std::string standalone) {
    retrieval_query wanted{standalone, options_.k, {}};
    call->inputs.insert_or_assign("question", std::move(standalone));
    call->job->ask<std::vector<scored_document>>(
        retriever_, [this, call](std::vector<scored_document>& found) { answer(call, found); },
        retrieve_atom_v, std::move(wanted));
  }

  void answer(const chat_call_ptr& call, std::vector<scored_document>& found) {
    if (options_.max_tokens_limit > 0)
      cut_documents(found, options_.max_tokens_limit, options_.count_tokens);
    std::vector<document> documents;
    documents.reserve(found.size());
    for (auto& one : found)
      documents.push_back(std::move(one.found));
    std::vector<document> sources;
    if (options_.return_source_documents)
      sources = documents;
    call->inputs.insert_or_assign(input_documents, std::move(documents));
    if (!takes(documents_wiring_, chat_history))
      call->inputs.erase(chat_history); // it may be long, and each map step would copy it
    call->job->ask_last(
        options_.documents_chain,
        [this, call, sources = std::move(sources)](values& outputs) mutable {
          if (auto error = keep_outputs(documents_wiring_, outputs, "the documents chain"))
            return call->job->fail(std::move(error));
          auto text = take_text(outputs, answer_output_, "the documents chain");
          if (!text)
            return call->job->fail(std::move(text.error()));
          outputs.erase(answer_output_);
          call->outputs = std::move(outputs);
          if (options_.return_source_documents)
            call->outputs.insert_or_assign(source_documents, std::move(sources));
          remember(call, std::move(*text));
        },
        std::move(call->inputs));
  }

  void remember(const chat_call_ptr& call, std::string text) {
    if (!options_.memory)
      return finish(*call, std::move(text));
    conversation_turn turn{std::move(call->question), text};
    call->job->ask<void>(
        options_.memory,
        [call, text = std::move(text)]() mutable { finish(*call, std::move(text)); }, save_atom_v,
        call->conversation_key, std::move(turn));
  }

  static void finish(chat_call& call, std::string text) {
    call.outputs.insert_or_assign("answer", std::move(text));
    call.job->answer(std::move(call.outputs));
  }

  retriever_actor retriever_;
  std::string condensed_output_;
  chain_description documents_wiring_;
  std::string answer_output_;
  chat_vector_db_options options_;
};

} // namespace

chain_actor spawn_chat_vector_db_chain(caf::actor_system& system, llm_actor llm,
    retriever_actor retriever, chat_vector_db_options options) {
  if (!retriever)
    throw std::invalid_argument{"a retrieval chain needs a valid retriever actor"};
  if (options.k == 0)
    throw std::invalid_argument{"chat_vector_db_options::k must be at least 1"};
  if (!options.condense_chain) {
    llm_chain_options how;
    how.parameters = options.qa.parameters;
    auto prompt = options.condense_prompt ? *options.condense_prompt
                                          : prompt_template{prompts::condense_question};
    options.condense_chain = spawn_llm_chain(system, llm, std::move(prompt), std::move(how));
  }
  if (!options.count_tokens)
    options.count_tokens = options.qa.count_tokens
                               ? options.qa.count_tokens
                               : measure_tokens_of(options.qa.parameters.model.value_or(""));
  if (!options.documents_chain)
    options.documents_chain = spawn_qa_chain(system, std::move(llm), options.type, options.qa);
  auto condense = describe(system, options.condense_chain, "the condense chain");
  auto answer = describe(system, options.documents_chain, "the documents chain");
  for (const auto* key : {chat_history, "question"})
    if (!takes(condense, key))
      throw std::invalid_argument{std::string{"the condense chain does not take '"} + key + "'"};
  if (!takes(answer, input_documents))
    throw std::invalid_argument{"the documents chain does not take 'input_documents'"};
  auto condensed_output = only_output(condense, "the condense chain");
  chain_description description{{"question"}, {"answer"}};
  auto answer_output = "answer"s;
  if (answer.output_keys.size() == 1)
    answer_output = answer.output_keys.front();
  else if (std::ranges::find(answer.output_keys, answer_output) == answer.output_keys.end())
    throw std::invalid_argument{"the documents chain has several outputs, but none named 'answer'"};
  else
    description.output_keys = answer.output_keys;
  for (const auto* wiring : {&condense, &answer})
    for (const auto& key : wiring->input_keys)
      if (key != input_documents && key != chat_history)
        description.input_keys.push_back(key);
  if (options.return_source_documents)
    description.output_keys.emplace_back(source_documents);
  return spawn_chain(system, std::move(description),
      std::make_unique<chat_vector_db_state>(std::move(retriever), std::move(condensed_output),
          std::move(answer), std::move(answer_output), std::move(options)),
      "chat_vector_db");
}

} // namespace chainmail
