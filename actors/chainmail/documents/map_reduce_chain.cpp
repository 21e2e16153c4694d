// Map, collapse, combine.
#include <chainmail/chains/wiring.hpp>
#include <chainmail/documents/documents_slot.hpp>
#include <chainmail/documents/map_reduce_chain.hpp>

#include <caf/expected.hpp>

#include <numeric>
#include <stdexcept>

namespace chainmail {

// -- the pure part ------------------------------------------------------------------------

caf::expected<std::vector<size_t>> group_sizes(const std::vector<size_t>& lengths, size_t most) {
  auto refuse = [&](size_t index, const char* what) {
    return make_failure(
        errc::invalid_input, "document " + std::to_string(index + 1) + what + std::to_string(most) +
                                 "; split the documents smaller or raise token_max");
  };
  std::vector<size_t> groups;
  size_t in_group = 0;
  size_t length = 0;
  for (size_t i = 0; i < lengths.size(); ++i) {
    ++in_group;
    length += lengths[i];
    if (length <= most)
      continue;
    if (in_group == 1)
      return refuse(i, " alone is longer than the token_max of ");
    if (in_group == 2)
      return refuse(i, " cannot stand beside the one before it within the token_max of ");
    groups.push_back(in_group - 1);
    in_group = 1;
    length = lengths[i];
    if (length > most)
      return refuse(i, " alone is longer than the token_max of ");
  }
  if (in_group > 0)
    groups.push_back(in_group);
  return groups;
}

std::map<std::string, std::string> merge_metadata(const document* first, const document* last) {
  std::map<std::string, std::string> result;
  for (; first != last; ++first)
    for (const auto& [key, text] : first->metadata) {
      auto [entry, is_new] = result.emplace(key, text);
      if (!is_new)
        entry->second += ", " + text;
    }
  return result;
}

// -- the chain ----------------------------------------------------------------------------

namespace {

/// A chain that takes documents and gives one text.
struct reducer {
  chain_actor chain;
  std::string output;
  const char* name;

  template <class OnText>
  void ask(
      const job_ptr& job, values inputs, std::vector<document> documents, OnText on_text) const {
    inputs.insert_or_assign(input_documents, std::move(documents));
    job->ask<values>(chain, reader(job, std::move(on_text)), call_atom_v, std::move(inputs));
  }

  /// The same for the text that is the job's answer.
  template <class OnText>
  void ask_last(
      const job_ptr& job, values inputs, std::vector<document> documents, OnText on_text) const {
    inputs.insert_or_assign(input_documents, std::move(documents));
    job->ask_last(chain, reader(job, std::move(on_text)), std::move(inputs));
  }

  template <class OnText>
  auto reader(const job_ptr& job, OnText on_text) const {
    return [job, this, on_text = std::move(on_text)](values& answer) mutable {
      auto text = take_text(answer, output, name);
      if (!text)
        return job->fail(std::move(text.error()));
      on_text(*text);
    };
  }
};

/// One call: its documents shrink from the mapped ones to few enough to combine.
struct map_reduce_call {
  job_ptr job;
  values inputs;
  std::vector<document> documents;
  std::vector<std::string> steps;
};

using map_reduce_call_ptr = std::shared_ptr<map_reduce_call>;

class map_reduce_state : public chain_state {
public:
  map_reduce_state(
      documents_slot map, reducer combine, reducer collapse, map_reduce_options options)
    : map_(std::move(map)),
      combine_(std::move(combine)),
      collapse_(std::move(collapse)),
      options_(std::move(options)) {
    if (!options_.count_tokens)
      options_.count_tokens = measure_tokens_of({});
  }

  void run(const job_ptr& job) override {
    auto documents = take_documents(job->inputs, input_documents);
    if (!documents)
      return job->fail(std::move(documents.error()));
    auto call = std::make_shared<map_reduce_call>();
    call->job = job;
    call->documents = std::move(*documents);
    call->inputs = std::move(job->inputs);
    auto map_one = [this, call](bounded_steps& steps, size_t index) {
      auto text = format_document(options_.document_prompt, call->documents[index]);
      if (!text)
        return call->job->fail(std::move(text.error()));
      map_.ask(call->job, call->inputs, std::move(*text),
          [call, index, all = steps.shared_from_this()](std::string& mapped) {
            call->documents[index].content = std::move(mapped);
            all->finished_one();
          });
    };
    auto all_mapped = [this, call] {
      if (options_.return_intermediate_steps)
        for (const auto& mapped : call->documents)
          call->steps.push_back(mapped.content);
      reduce(call);
    };
    std::make_shared<bounded_steps>(
        job, call->documents.size(), options_.max_in_flight, map_one, all_mapped)
        ->pump();
  }

  [[nodiscard]] bool streams() const override { return may_stream(combine_.chain); }

private:
  void reduce(const map_reduce_call_ptr& call) {
    std::vector<size_t> lengths;
    for (const auto& part : call->documents)
      lengths.push_back(options_.count_tokens(part.content));
    if (std::accumulate(lengths.begin(), lengths.end(), size_t{0}) <= options_.token_max)
      return combine(call);
    auto groups = group_sizes(lengths, options_.token_max);
    if (!groups)
      return call->job->fail(std::move(groups.error()));
    collapse(call, *groups);
  }

  void collapse(const map_reduce_call_ptr& call, const std::vector<size_t>& groups) {
    auto collapsed = std::make_shared<std::vector<document>>(groups.size());
    auto members = std::make_shared<std::vector<std::vector<document>>>();
    auto* next = call->documents.data();
    for (size_t i = 0; i < groups.size(); next += groups[i++]) {
      (*collapsed)[i].metadata = merge_metadata(next, next + groups[i]);
      members->emplace_back(
          std::make_move_iterator(next), std::make_move_iterator(next + groups[i]));
    }
    auto collapse_one = [this, call, collapsed, members](bounded_steps& steps, size_t index) {
      collapse_.ask(call->job, call->inputs, std::move((*members)[index]),
          [collapsed, index, all = steps.shared_from_this()](std::string& text) {
            (*collapsed)[index].content = std::move(text);
            all->finished_one();
          });
    };
    auto all_collapsed = [this, call, collapsed] {
      call->documents = std::move(*collapsed);
      reduce(call);
    };
    std::make_shared<bounded_steps>(
        call->job, groups.size(), options_.max_in_flight, collapse_one, all_collapsed)
        ->pump();
  }

  void combine(const map_reduce_call_ptr& call) {
    combine_.ask_last(call->job, std::move(call->inputs), std::move(call->documents),
        [this, call](std::string& text) {
          values outputs;
          outputs.emplace(output_text, std::move(text));
          if (options_.return_intermediate_steps)
            outputs.emplace(intermediate_steps, std::move(call->steps));
          call->job->answer(std::move(outputs));
        });
  }

  documents_slot map_;
  reducer combine_;
  reducer collapse_;
  map_reduce_options options_;
};

reducer make_reducer(
    caf::actor_system& system, chain_actor chain, const char* name, chain_description& outer) {
  auto wiring = describe(system, chain, name);
  if (!takes(wiring, input_documents))
    throw std::invalid_argument{
        std::string{name} + " does not take '" + input_documents + "': give it a stuff chain"};
  for (auto& key : wiring.input_keys)
    outer.input_keys.push_back(key);
  return {std::move(chain), only_output(wiring, name), name};
}

} // namespace

chain_actor spawn_map_reduce_chain(
    caf::actor_system& system, map_reduce_parts parts, map_reduce_options options) {
  if (options.max_in_flight == 0)
    throw std::invalid_argument{"map_reduce_options::max_in_flight must be at least 1"};
  if (options.token_max == 0)
    throw std::invalid_argument{"map_reduce_options::token_max must be at least 1"};
  documents_slot map{system, std::move(parts.map), options.document_variable, "the map chain"};
  auto description = map.outer_description({});
  if (!parts.collapse)
    parts.collapse = parts.combine;
  auto combine = make_reducer(system, std::move(parts.combine), "the combine chain", description);
  auto collapse =
      make_reducer(system, std::move(parts.collapse), "the collapse chain", description);
  if (options.return_intermediate_steps)
    description.output_keys.emplace_back(intermediate_steps);
  return spawn_chain(system, std::move(description),
      std::make_unique<map_reduce_state>(
          std::move(map), std::move(combine), std::move(collapse), std::move(options)),
      "map_reduce");
}

} // namespace chainmail
