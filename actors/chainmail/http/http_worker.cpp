// The HTTP worker: an ordinary detached actor whose event loop is the handler of a message to
// itself.
#include <chainmail/caf/compat.hpp>
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

/// An actor whose mail can end a wait on epoll: the one place that overrides a virtual of CAF.
class wakeable : public worker_interface::impl {
public:
  using super = worker_interface::impl;
  using super::enqueue;

  explicit wakeable(caf::actor_config& config)
    : super(config), wake_fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (wake_fd < 0)
      throw std::system_error{errno, std::generic_category(), "eventfd"};
  }

  ~wakeable() override { close(wake_fd); }

  bool enqueue(caf::mailbox_element_ptr mail, compat::enqueue_context context) override {
    // The sender holds a handle, so `this` outlives the call.
    auto result = super::enqueue(std::move(mail), context);
    if (posting_ != this) {
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
        [this](stream_atom, const http_request&, const sink_actor&,
            const call_context&) -> caf::result<http_response> {
          count_down();
          return make_failure(errc::unsupported,
              "the HTTP engine does not stream bodies yet: send a fetch instead");
        },
        [this](cancel_atom, const call_id& id) { engine.cancel(id); },
        [this](status_atom) { return http_status{engine.outstanding()}; },
        [this](turn_atom) { turn(); },
    };
  }

  caf::result<http_response> fetch(http_request request, const call_context& context) {
    auto caller = self->make_response_promise<http_response>();
    engine.submit(
        std::move(request), context, [this, caller](caf::expected<http_response> result) mutable {
          count_down();
          caller.deliver(std::move(result));
        });
    if (!is_turning && !engine.is_idle()) {
      is_turning = true;
      self->post_turn();
    }
    return caller;
  }

  /// An idle worker does not turn: it sleeps in CAF like any actor, and goes when its last handle
  /// does. A turning one keeps itself alive by the message that it owes itself.
  void turn() {
    engine.turn(may_wait);
    self->wake_up();
    is_turning = !engine.is_idle();
    if (is_turning)
      self->post_turn();
  }

  void count_down() const { load->fetch_sub(1, std::memory_order_relaxed); }

  actor_type* self;
  std::shared_ptr<worker_load> load;
  http_metrics counts;
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
