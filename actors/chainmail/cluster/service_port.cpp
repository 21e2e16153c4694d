// The port: checks, counts, passes on.
#include <chainmail/caf/any_hub.hpp>
#include <chainmail/caf/compat.hpp>
#include <chainmail/cluster/message_rules.hpp>
#include <chainmail/cluster/service_port.hpp>
#include <chainmail/cluster/stream_relay.hpp>
#include <chainmail/errors.hpp>

#include <caf/actor_system.hpp>
#include <caf/sec.hpp>
#include <caf/stateful_actor.hpp>

#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace chainmail {

namespace {

/// Of sentences and details in an error that goes to another node; see largest_error_frame.
constexpr size_t longest_sentence = 2'000;
constexpr size_t longest_detail = 6'000;

size_t size_of(const error_detail& x) {
  auto result = x.endpoint.size();
  for (const auto& each : x.attempts)
    result += 64 + each.target.size() + each.reason.size();
  return result;
}

/// The same error, of a size that fits into a frame.
caf::error cut_to_fit(const caf::error& error) {
  auto flat = flatten(error);
  auto is_ours = error.category() == caf::type_id_v<errc>;
  auto is_short = flat.sentence.size() <= longest_sentence;
  if (flat.detail)
    flat.detail->text_so_far.clear(); // the other node knows what it got
  auto has_small_detail = !flat.detail || size_of(*flat.detail) <= longest_detail;
  if (!is_ours)
    return error;
  if (!is_short)
    flat.sentence = flat.sentence.substr(0, longest_sentence) + "...";
  if (!has_small_detail) {
    flat.detail->attempts.clear();
    flat.detail->endpoint.resize(std::min<size_t>(flat.detail->endpoint.size(), 1'000));
  }
  return to_error(std::move(flat));
}

struct service_port_state {
  static constexpr const char* name = "chainmail.service_port";

  struct call {
    caf::response_promise caller;
    caf::actor_addr holder;
    call_id id;
    uint64_t number = 0;
  };

  service_port_state(any_hub* self_ptr, caf::actor passed_on_to, port_options chosen,
      std::shared_ptr<port_counters> counted)
    : self(self_ptr),
      target(std::move(passed_on_to)),
      options(std::move(chosen)),
      counters(std::move(counted)) {}

  ~service_port_state() { counters->in_flight -= calls.size(); }

  caf::behavior make_behavior() {
    compat::on_other(
        self, [this](caf::scheduled_actor*, caf::message& content) { return take(content); });
    compat::on_down(self, [this](const caf::down_msg& down) { on_holder_down(down.source); });
    compat::on_exit(self, [this](caf::exit_msg& message) {
      for (const auto& [request, each] : calls)
        cancel(each);
      self->quit(std::move(message.reason));
    });
    return {
        [this](reply_atom, uint64_t id, caf::message& reply) {
          if (!streams.on_reply(id, reply))
            answer(id, reply);
        },
        [this](chunk_atom, const call_id& id, uint32_t index, std::string& text) {
          return on_chunk(id, index, std::move(text));
        },
    };
  }

  caf::skippable_result take(caf::message& content) {
    auto* mail = self->current_mailbox_element();
    auto is_request = mail->mid.is_request();
    if (!mail->sender) // and so nobody to answer
      return caf::delegated<caf::message>{};
    if (auto error = check_message(options.kind, content)) {
      ++counters->refused;
      if (is_request)
        return error;
    } else if (is_request && counters->is_closed) {
      ++counters->refused;
      return caf::make_error(caf::sec::request_receiver_down);
    } else if (!is_request && !options.keeps_sender && !content.match_element<cancel_atom>(0)) {
      ++counters->refused; // nobody waits for the answer, and nothing would count it
    } else if (!is_request || options.keeps_sender) {
      pass_on(*mail, content);
    } else if (calls.size() >= options.capacity) {
      ++counters->refused;
      return make_failure(errc::overloaded,
          "the service \"" + options.name + "\" of this node has " + std::to_string(calls.size()) +
              " calls under way, which is all it takes");
    } else {
      if (auto refusal = ask(*mail, content))
        return refusal;
    }
    return caf::delegated<caf::message>{};
  }

  void pass_on(caf::mailbox_element& mail, caf::message& content) {
    caf::actor_cast<caf::abstract_actor*>(target)->enqueue(
        compat::make_element(mail.sender, mail.mid, std::move(content)), self->context());
  }

  caf::error ask(const caf::mailbox_element& mail, caf::message& content) {
    auto holder = mail.sender; // making the promise takes it out of the mail
    call_id id;
    if (const auto* context = context_in(content))
      id = context->id;
    auto number = next_number++;
    if (auto error = open_stream(number, *holder, content)) {
      ++counters->refused;
      return error;
    }
    auto address = caf::actor_cast<caf::actor_addr>(holder);
    auto caller = self->make_response_promise();
    auto request = self->ask(target, std::move(content));
    auto [theirs, is_new] = calls_of.try_emplace(address);
    if (is_new)
      compat::monitor(self, holder);
    theirs->second.insert(request);
    calls.emplace(request, call{std::move(caller), std::move(address), id, number});
    ++counters->in_flight;
    return {};
  }

  /// A node may name no sink but its own, and no call of which chunks could be another's.
  caf::error open_stream(
      uint64_t number, const caf::actor_control_block& holder, caf::message& content) {
    if (!content.match_elements<stream_atom, llm_request, sink_actor, call_context>() &&
        !content.match_elements<stream_atom, values, sink_actor, call_context>())
      return {};
    if (const auto* context = context_in(content); context == nullptr || !context->id)
      return make_failure(errc::invalid_input, "the stream of another node has no call ID");
    if (content.get_as<sink_actor>(content.size() - 2).node() != holder.node())
      return make_failure(
          errc::invalid_input, "the sink of a stream is on another node than its caller");
    return streams.open(number, content);
  }

  /// Whoever works on the stream for the target sends its chunks.
  caf::result<void> on_chunk(const call_id& id, uint32_t index, std::string text) {
    auto number = streams.call_of(id);
    if (number == 0 || (!self->is_local_mail() && self->current_sender()->node() != target.node()))
      return make_failure(errc::cancelled, "the stream is not waited for any more");
    return streams.pass(number, index, std::move(text));
  }

  /// The other node answers no chunks.
  void on_stall(uint64_t number) {
    streams.close(
        number, make_failure(errc::unavailable,
                    "the node that the stream is for answered none of its chunks for two minutes"));
    for (const auto& [request, each] : calls)
      if (each.number == number)
        return cancel(each);
  }

  void answer(uint64_t request, caf::message& reply) {
    auto found = calls.find(request);
    if (found == calls.end())
      return;
    if (!self->is_local_mail() && self->current_sender()->node() != target.node())
      return; // an answer from a node that was not asked
    auto done = std::move(found->second);
    calls.erase(found);
    if (auto theirs = calls_of.find(done.holder); theirs != calls_of.end())
      theirs->second.erase(request);
    streams.close(done.number, make_failure(errc::cancelled, "the call of the stream is over"));
    --counters->in_flight;
    ++counters->answered;
    if (reply.match_elements<caf::error>())
      done.caller.deliver(
          cut_to_fit(to_failure(reply.get_as<caf::error>(0), options.name.c_str())));
    else if (auto error = check_answer(options.kind, reply)) // the other node would not believe it
      done.caller.deliver(std::move(error));
    else
      done.caller.deliver(std::move(reply));
  }

  /// Nobody waits for the answers of its calls any more.
  void on_holder_down(const caf::actor_addr& gone) {
    auto theirs = calls_of.extract(gone);
    if (!theirs)
      return;
    // A call may have come again by another way, and has its ID still.
    std::unordered_set<call_id> elsewhere;
    for (const auto& [request, each] : calls)
      if (each.holder != gone)
        elsewhere.insert(each.id);
    for (auto request : theirs.mapped())
      if (const auto& lost = calls.at(request); !elsewhere.contains(lost.id))
        cancel(lost);
  }

  void cancel(const call& what) {
    if (what.id)
      compat::send(self, target, cancel_atom_v, what.id);
  }

  any_hub* self;
  caf::actor target;
  port_options options;
  std::shared_ptr<port_counters> counters;
  std::unordered_map<uint64_t, call> calls;
  uint64_t next_number = 1;
  stream_relay streams{self, [this](uint64_t number) { on_stall(number); }};
  /// By holder, from its first call until it goes down.
  std::unordered_map<caf::actor_addr, std::unordered_set<uint64_t>> calls_of;
};

} // namespace

caf::actor spawn_service_port(caf::actor_system& system, caf::actor target, port_options options,
    std::shared_ptr<port_counters> counters) {
  return system.spawn<caf::stateful_actor<service_port_state, any_hub>>(
      std::move(target), std::move(options), std::move(counters));
}

} // namespace chainmail
