// Choosing a route, and handing the call on.
#include <chainmail/chains/chain_job.hpp>
#include <chainmail/chains/router_chain.hpp>
#include <chainmail/chains/wiring.hpp>
#include <chainmail/prompts/utf8.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace chainmail {

namespace {

constexpr auto no_route = "DEFAULT";

/// Of what a model said, in an error: code points.
constexpr size_t longest_route_quote = 100;

/// Where calls can go, wired.
class destinations {
public:
  destinations(caf::actor_system& system, const route_map& routes, const chain_actor& fallback) {
    if (routes.empty())
      throw std::invalid_argument{"a router needs at least one route"};
    for (const auto& [key, where] : routes)
      routes_.emplace(key, wire(system, where.chain, "the route '" + key + "'"));
    if (fallback)
      fallback_.push_back(wire(system, fallback, "the fallback of the router"));
  }

  [[nodiscard]] const chain_description& outer() const { return outer_; }

  [[nodiscard]] bool have_fallback() const { return !fallback_.empty(); }

  /// Whether one of them does, at least: the others say themselves that they do not.
  [[nodiscard]] bool stream() const {
    auto streams = [](const destination& x) { return may_stream(x.chain); };
    return std::ranges::any_of(
               routes_, streams, &std::pair<const std::string, destination>::second) ||
           std::ranges::any_of(fallback_, streams);
  }

  /// `unknown` is the error's code when there is no such route and no fallback.
  void send(const job_ptr& job, const std::string& key, errc unknown) const {
    auto found = routes_.find(key);
    if (found == routes_.end() && fallback_.empty())
      return job->fail(make_failure(unknown,
          "the router has no route '" + one_line(key, longest_route_quote) + "' and no fallback"));
    const auto& chosen = found != routes_.end() ? found->second : fallback_.front();
    job->ask_last(
        chosen.chain,
        [job, &chosen](values& answer) {
          if (auto error = keep_outputs(chosen.wiring, answer, chosen.name))
            return job->fail(std::move(error));
          job->answer(std::move(answer));
        },
        std::move(job->inputs));
  }

private:
  struct destination {
    chain_actor chain;
    chain_description wiring;
    /// "the route 'x'"
    std::string name;
  };

  destination wire(caf::actor_system& system, const chain_actor& chain, std::string name) {
    auto wiring = describe(system, chain, name);
    if (routes_.empty())
      outer_.output_keys = wiring.output_keys;
    else if (wiring.output_keys != outer_.output_keys)
      throw std::invalid_argument{name + " gives " + in_quotes(wiring.output_keys) +
                                  ", but the routes before it give " +
                                  in_quotes(outer_.output_keys)};
    for (const auto& key : wiring.input_keys)
      outer_.input_keys.push_back(key);
    return {chain, std::move(wiring), std::move(name)};
  }

  chain_description outer_;
  std::map<std::string, destination> routes_;
  /// One or none.
  std::vector<destination> fallback_;
};

// -- by a function ------------------------------------------------------------------------

class router_state : public chain_state {
public:
  router_state(destinations where, choose_route choose)
    : destinations_(std::move(where)), choose_(std::move(choose)) {}

  void run(const job_ptr& job) override {
    auto key = choose_(job->inputs);
    if (!key)
      return job->fail(to_failure(std::move(key.error()), "the router's function"));
    destinations_.send(job, *key, errc::invalid_input);
  }

  [[nodiscard]] bool streams() const override { return destinations_.stream(); }

private:
  destinations destinations_;
  choose_route choose_;
};

// -- by a model ---------------------------------------------------------------------------

std::string list_candidates(const route_map& routes, bool have_fallback) {
  std::string result = "Choose the candidate that suits the input best, going by what each is good "
                       "for. Answer with the name of the candidate alone";
  if (have_fallback)
    result += std::string{", or with "} + no_route + " when none of them suits";
  result += ".\n\n<< CANDIDATES >>\n";
  for (const auto& [key, where] : routes)
    result += key + ": " + where.description + "\n";
  return result + "<< INPUT >>\n";
}

void check_names(const route_map& routes) {
  constexpr auto line_breaks = "\r\n";
  for (const auto& [key, where] : routes) {
    auto name = "the route '" + key + "'";
    if (key.empty() || key == no_route || key.find_first_of(line_breaks) != std::string::npos ||
        trimmed(key) != key)
      throw std::invalid_argument{
          name + " has a name that a model cannot choose: it must be one line of text, without "
                 "spaces around it, other than DEFAULT"};
    if (where.description.find_first_of(line_breaks) != std::string::npos)
      throw std::invalid_argument{name + " has a description of several lines"};
  }
}

class llm_router_state : public chain_state {
public:
  llm_router_state(destinations where, llm_actor llm, std::string head, llm_router_options options)
    : destinations_(std::move(where)),
      llm_(std::move(llm)),
      prompt_head_(std::move(head)),
      options_(std::move(options)) {}

  void run(const job_ptr& job) override {
    auto prompt = prompt_head_;
    if (!append_text(prompt, job->inputs.find(options_.input_key)->second))
      return job->fail(make_failure(errc::invalid_input,
          "the input '" + options_.input_key + "' is no text that the router's model could read"));
    llm_request request;
    request.prompts.push_back(std::move(prompt) + "\n<< OUTPUT >>");
    request.parameters = options_.parameters;
    job->ask<llm_result>(
        llm_,
        [this, job](llm_result& result) {
          auto key = result.completions.empty() ? std::string_view{} : trimmed(result.text());
          destinations_.send(job, std::string{key}, errc::malformed_response);
        },
        generate_atom_v, std::move(request));
  }

  [[nodiscard]] bool streams() const override { return destinations_.stream(); }

private:
  destinations destinations_;
  llm_actor llm_;
  std::string prompt_head_;
  llm_router_options options_;
};

} // namespace

chain_actor spawn_router_chain(caf::actor_system& system, const route_map& routes,
    choose_route choose, const chain_actor& fallback) {
  if (!choose)
    throw std::invalid_argument{"a router chain needs a function"};
  destinations where{system, routes, fallback};
  auto description = where.outer();
  return spawn_chain(system, std::move(description),
      std::make_unique<router_state>(std::move(where), std::move(choose)), "router");
}

chain_actor spawn_llm_router_chain(
    caf::actor_system& system, llm_actor llm, const route_map& routes, llm_router_options options) {
  if (!llm)
    throw std::invalid_argument{"an LLM router chain needs a valid LLM actor"};
  check_names(routes);
  destinations where{system, routes, options.fallback};
  auto description = where.outer();
  description.input_keys.push_back(options.input_key);
  auto head = list_candidates(routes, where.have_fallback());
  return spawn_chain(system, std::move(description),
      std::make_unique<llm_router_state>(
          std::move(where), std::move(llm), std::move(head), std::move(options)),
      "llm_router");
}

} // namespace chainmail
