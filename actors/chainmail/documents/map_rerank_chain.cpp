// Asking about every document, and choosing.
#include <chainmail/documents/documents_slot.hpp>
#include <chainmail/documents/map_rerank_chain.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace chainmail {

// -- the pure part ------------------------------------------------------------------------

caf::expected<scored_answer> read_scored_answer(std::string_view text) {
  constexpr std::string_view mark = "\nScore: ";
  auto at = text.find(mark);
  if (at == std::string_view::npos)
    return make_failure(errc::malformed_response,
        "the LLM's answer has no line that begins with 'Score: ': the map_rerank prompt must ask "
        "for one");
  auto score = text.substr(at + mark.size());
  score = trimmed(score.substr(0, score.find('\n')));
  scored_answer result{std::string{text.substr(0, at)}, 0};
  auto [end, failed] = std::from_chars(score.data(), score.data() + score.size(), result.score);
  if (failed != std::errc{} || end != score.data() + score.size())
    return make_failure(errc::malformed_response,
        "the score of the LLM's answer is no integer of 64 bits: '" + one_line(score, 20) + "'");
  return result;
}

// -- the chain ----------------------------------------------------------------------------

namespace {

struct rerank_call {
  job_ptr job;
  values inputs;
  std::vector<document> documents;
  std::vector<scored_answer> answers;
};

class map_rerank_state : public chain_state {
public:
  map_rerank_state(documents_slot chain, map_rerank_options options)
    : chain_(std::move(chain)), options_(std::move(options)) {}

  void run(const job_ptr& job) override {
    auto documents = take_documents(job->inputs, input_documents);
    if (!documents)
      return job->fail(std::move(documents.error()));
    if (documents->empty())
      return job->fail(make_failure(errc::invalid_input, "there is no document to ask about"));
    if (auto error = check_metadata(*documents))
      return job->fail(std::move(error));
    auto call = std::make_shared<rerank_call>();
    call->job = job;
    call->documents = std::move(*documents);
    call->inputs = std::move(job->inputs);
    call->answers.resize(call->documents.size());
    auto ask_one = [this, call](bounded_steps& steps, size_t index) {
      auto text = format_document(options_.document_prompt, call->documents[index]);
      if (!text)
        return call->job->fail(std::move(text.error()));
      chain_.ask(call->job, call->inputs, std::move(*text),
          [call, index, all = steps.shared_from_this()](std::string& reply) {
            auto scored = read_scored_answer(reply);
            if (!scored)
              return call->job->fail(std::move(scored.error()));
            call->answers[index] = std::move(*scored);
            all->finished_one();
          });
    };
    std::make_shared<bounded_steps>(job, call->documents.size(), options_.max_in_flight, ask_one,
        [this, call] { choose(*call); })
        ->pump();
  }

private:
  /// Before anything is asked: which document wins is not known yet.
  [[nodiscard]] caf::error check_metadata(const std::vector<document>& documents) const {
    for (const auto& key : options_.metadata_keys)
      for (size_t i = 0; i < documents.size(); ++i)
        if (!documents[i].metadata.contains(key))
          return make_failure(errc::missing_input, "document " + std::to_string(i + 1) +
                                                       " has no metadata '" + key +
                                                       "', which the chain gives as an output");
    return {};
  }

  void choose(rerank_call& call) const {
    std::vector<size_t> order(call.answers.size());
    for (size_t i = 0; i < order.size(); ++i)
      order[i] = i;
    std::ranges::stable_sort(
        order, [&](size_t a, size_t b) { return call.answers[a].score > call.answers[b].score; });
    auto best = order.front();
    values outputs;
    outputs.emplace(output_text, call.answers[best].answer);
    for (const auto& key : options_.metadata_keys)
      outputs.emplace(key, call.documents[best].metadata.at(key));
    if (options_.return_intermediate_steps) {
      std::vector<document> steps;
      for (auto i : order) {
        steps.push_back({std::move(call.answers[i].answer), std::move(call.documents[i].metadata)});
        steps.back().metadata.insert_or_assign("score", std::to_string(call.answers[i].score));
      }
      outputs.emplace(intermediate_steps, std::move(steps));
    }
    call.job->answer(std::move(outputs));
  }

  documents_slot chain_;
  map_rerank_options options_;
};

} // namespace

chain_actor spawn_map_rerank_chain(
    caf::actor_system& system, chain_actor chain, map_rerank_options options) {
  if (options.max_in_flight == 0)
    throw std::invalid_argument{"map_rerank_options::max_in_flight must be at least 1"};
  documents_slot slot{system, std::move(chain), options.document_variable, "the rerank chain"};
  auto description = slot.outer_description({});
  for (const auto& key : options.metadata_keys) {
    if (key == output_text || key == intermediate_steps)
      throw std::invalid_argument{"map_rerank_options::metadata_keys holds '" + key +
                                  "', which is an output of the chain's own"};
    description.output_keys.push_back(key);
  }
  if (options.return_intermediate_steps)
    description.output_keys.emplace_back(intermediate_steps);
  return spawn_chain(system, std::move(description),
      std::make_unique<map_rerank_state>(std::move(slot), std::move(options)), "map_rerank");
}

} // namespace chainmail
