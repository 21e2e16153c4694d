// The slot of a documents chain that another chain fills: one that takes a text made of documents,
// and gives one text.
#pragma once

#include <chainmail/chains/chain_job.hpp>
#include <chainmail/chains/wiring.hpp>
#include <chainmail/documents/format_documents.hpp>

#include <caf/expected.hpp>

#include <string>
#include <utility>
#include <vector>

namespace chainmail {

/// What documents chains take and give, in LangChain's words.
inline constexpr auto input_documents = "input_documents";
inline constexpr auto output_text = "output_text";
inline constexpr auto intermediate_steps = "intermediate_steps";

class documents_slot {
public:
  /// `name` stands in errors: "the map chain".
  /// @throws std::invalid_argument for a chain that does not take `variable`, or that has not
  /// exactly one output.
  documents_slot(
      caf::actor_system& system, chain_actor chain, std::string variable, const char* name);

  /// Runs the chain on `inputs` and `text`; `on_text(std::string&)` gets what it gives. An error
  /// ends the job.
  template <class OnText>
  void ask(const job_ptr& job, values inputs, std::string text, OnText on_text) const {
    inputs.insert_or_assign(variable_, std::move(text));
    job->ask<values>(chain_, reader(job, std::move(on_text)), call_atom_v, std::move(inputs));
  }

  /// The same for the text that is the job's answer.
  template <class OnText>
  void ask_last(const job_ptr& job, values inputs, std::string text, OnText on_text) const {
    inputs.insert_or_assign(variable_, std::move(text));
    job->ask_last(chain_, reader(job, std::move(on_text)), std::move(inputs));
  }

  [[nodiscard]] bool streams() const { return may_stream(chain_); }

  /// Of the chain around the slot: documents, and what the slot's chain needs besides its text and
  /// besides what the outer chain `supplies`.
  [[nodiscard]] chain_description outer_description(const std::vector<std::string>& supplies) const;

private:
  template <class OnText>
  auto reader(const job_ptr& job, OnText on_text) const {
    return [job, this, on_text = std::move(on_text)](values& answer) mutable {
      auto found = take_text(answer, output_, name_);
      if (!found)
        return job->fail(std::move(found.error()));
      on_text(*found);
    };
  }

  chain_actor chain_;
  std::string variable_;
  const char* name_;
  std::string output_;
  std::vector<std::string> inputs_;
};

} // namespace chainmail
