// The HTTP worker: an ordinary detached actor whose event loop is the handler of a message to
// itself.
#include <chainmail/caf/reply_table.hpp>
#include <chainmail/http/curl_engine.hpp>
#include <chainmail/http/http_worker.hpp>

#include <caf/actor_system.hpp>
#include <caf/expected.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <atomic>
#include <cerrno>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>

namespace chainmail {

namespace {

/// `turn` is private: the worker sends it to itself while it has something in flight.
using worker_interface = http_actor::extend<caf::result<void>(turn_atom)>;

/// A hub whose mail can end a wait on epoll.
class wakeable : public hub<worker_interface> {
public:
  using super = hub<worker_interface>;
  using super::enqueue;

  explicit wakeable(caf::actor_config& config)
    : super(config), wake_fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (wake_fd < 0)
      throw std::system_error{errno, std::generic_category(), "eventfd"};
  }

  ~wakeable() override { close(wake_fd); }

  bool enqueue(caf::mailbox_element_ptr mail, compat::enqueue_context context) override {
    // The sender holds a handle, so `this` outlives the call.
    auto is_credit = mail->mid.is_response() && mail->payload.empty();
    auto result = super::enqueue(std::move(mail), context);
    if (posting_ != this && (!is_credit || wants_credit_)) {
      has_mail_ = true;
      if (is_asleep_.load() && is_asleep_.exchange(false))
        ring();
    }
    return result;
  }

  /// Announces a wait. False when mail came since the last time: then do not wait.
  bool try_sleep() {
    is_asleep_ = true;
    return !has_mail_.exchange(false);
  }

  void wake_up() { is_asleep_ = false; }

  /// Whether answers of sinks are worth waking up for: else they are read at the next turn. To be
  /// called before that is posted, so that none is between the two.
  void want_credit(bool wants) { wants_credit_ = wants; }

  /// Queues the next turn behind the mail that is there, without counting it as mail.
  void post_turn() {
    posting_ = this;
    compat::anon_send(caf::actor_cast<worker_interface>(this), turn_atom_v);
    posting_ = nullptr;
  }

  const int wake_fd;

private:
  void ring() const {
    uint64_t one = 1;
    [[maybe_unused]] auto written = write(wake_fd, &one, sizeof one);
  }

  std::atomic<bool> is_asleep_{false};
  std::atomic<bool> has_mail_{false};
  std::atomic<bool> wants_credit_{false};
  static inline thread_local const wakeable* posting_ = nullptr;
};

struct http_worker_state {
  static constexpr const char* name = "chainmail.http_worker";

  using actor_type = caf::stateful_actor<http_worker_state, wakeable>;

  http_worker_state(actor_type* self_ptr, const http_options& options, size_t capacity,
      std::shared_ptr<worker_load> gauge)
    : self(self_ptr),
      load(std::move(gauge)),
      counts(self_ptr->system()),
      engine(options, capacity, self_ptr->wake_fd, counts) {}

  wakeable::behavior_type make_behavior() {
    compat::on_exit(self, [this](caf::exit_msg& message) {
      engine.fail_all(make_failure(errc::shut_down, "the HTTP worker was told to exit"));
      self->quit(std::move(message.reason));
    });
    return {
        [this](fetch_atom, http_request& request, const call_context& context) {
          return fetch(std::move(request), context);
        },
        [this](stream_atom, http_request& request, const sink_actor& sink,
            const call_context& context) -> caf::result<http_response> {
          if (!sink) {
            count_down();
            return make_failure(errc::invalid_input, "a stream needs a valid sink");
          }
          return fetch(std::move(request), context, sender_to(sink, context.id));
        },
        [this](cancel_atom, const call_id& id) { engine.cancel(id); },
        [this](status_atom) { return http_status{engine.outstanding()}; },
        [this](turn_atom) { turn(); },
        replies.on_reply(),
    };
  }

  caf::result<http_response> fetch(
      http_request request, const call_context& context, exchange_stream::sender send = nullptr) {
    auto caller = self->make_response_promise<http_response>();
    engine.submit(
        std::move(request), context,
        [this, caller](caf::expected<http_response> result) mutable {
          count_down();
          caller.deliver(std::move(result));
        },
        std::move(send));
    if (!is_turning && !engine.is_idle()) {
      is_turning = true;
      self->post_turn();
    }
    return caller;
  }

  exchange_stream::sender sender_to(const sink_actor& sink, const call_id& id) {
    return [this, sink, id](const exchange_key& key, std::string piece) {
      auto bytes = piece.size();
      // The engine has time-outs of its own.
      replies.ask<void>(
          sink, deadline{}, [this, key, bytes] { engine.taken(key, bytes); },
          [this, key](caf::error& why) { engine.refused(key, why); }, chunk_atom_v, id, uint32_t{0},
          std::move(piece));
    };
  }

  /// An idle worker does not turn: it sleeps in CAF like any actor, and goes when its last handle
  /// does. A turning one keeps itself alive by the message that it owes itself.
  void turn() {
    engine.turn(may_wait);
    self->wake_up();
    is_turning = !engine.is_idle();
    self->want_credit(engine.has_held_streams());
    if (is_turning)
      self->post_turn();
  }

  void count_down() const { load->fetch_sub(1, std::memory_order_relaxed); }

  actor_type* self;
  std::shared_ptr<worker_load> load;
  http_metrics counts;
  reply_table replies{self, "the sink"};
  curl_engine engine;
  std::function<bool()> may_wait = [this] { return self->try_sleep(); };
  bool is_turning = false;
};

} // namespace

http_actor spawn_http_worker(caf::actor_system& system, const http_options& options,
    size_t capacity, std::shared_ptr<worker_load> load) {
  // Before any worker runs: libcurl's global state must not be set up by two threads at once.
  static const auto initialized = curl_global_init(CURL_GLOBAL_ALL);
  if (initialized != CURLE_OK)
    throw std::runtime_error{"libcurl cannot be initialized"};
  return system.spawn<http_worker_state::actor_type, caf::detached>(
      options, capacity, std::move(load));
}

} // namespace chainmail
