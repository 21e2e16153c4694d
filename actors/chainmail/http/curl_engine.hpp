// The HTTP engine: one thread's libcurl transfers on one epoll, thousands at once. No actors here.
#pragma once

#include <chainmail/caf/deadline_heap.hpp>
#include <chainmail/call_context.hpp>
#include <chainmail/http.hpp>
#include <chainmail/http/http_metrics.hpp>
#include <chainmail/http/http_options.hpp>
#include <chainmail/http/resolve_gate.hpp>
#include <chainmail/http/transfer.hpp>

#include <curl/curl.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace chainmail {

class curl_engine;

/// One CURLM with its share of the transfers: libcurl looks for reusable connections linearly,
/// which with 10,000 transfers in one multi costs 550 us of CPU an exchange, and 37-50 in shares of
/// 150.
struct shard {
  static constexpr size_t capacity = 150;

  curl_engine* engine = nullptr;
  CURLM* multi = nullptr;
  exchange::clock::time_point timer = exchange::clock::time_point::max();
  bool is_touched = false;
};

/// A host that calls go to, and those that wait until its name is resolved.
struct host : handle_owner {
  resolve_gate gate;
  std::string origin;
  CURL* scout = nullptr;
  exchange::clock::time_point scout_sent;
  bool scout_resolved = false;
  std::list<exchange> waiting;
};

/// Performs exchanges. All members are called by one thread.
class curl_engine {
public:
  using clock = exchange::clock;

  /// `wake_fd` is an eventfd: ringing it ends a turn's waiting. The options are valid; the engine
  /// takes `capacity` exchanges at once, and counts in `counts`, which outlive it.
  curl_engine(http_options options, size_t capacity, int wake_fd, http_metrics& counts);
  curl_engine(const curl_engine&) = delete;
  curl_engine& operator=(const curl_engine&) = delete;
  ~curl_engine();

  /// Takes a call. `done` runs exactly once, in this call or in a later one of the engine's. With
  /// `send`, the body of a 2xx goes there, one piece a turn, and taken() or refused() is to be called
  /// for each; `done` runs after the last was taken, unless an error of ours ends the call.
  void submit(http_request request, const call_context& context, exchange::completion done,
      exchange_stream::sender send = nullptr);

  /// A piece of that many bytes was taken. Nothing for a call that is over.
  void taken(const exchange_key& key, size_t bytes);

  /// Nobody takes the stream's pieces any more: ends the call with this error.
  void refused(const exchange_key& key, const caf::error& why);

  /// Whether a call can go on as soon as a piece of it is taken.
  [[nodiscard]] bool has_held_streams() const { return held_streams_ > 0; }

  /// Ends the calls of that ID with errc::cancelled; a step of zero means all of the root.
  void cancel(const call_id& id);

  /// Ends all calls with this error.
  void fail_all(const caf::error& why);

  /// What runs before and after a wait for the network.
  struct wait_hooks {
    /// Whether to wait.
    std::function<bool()> begin;
    /// After a wait that `begin` allowed.
    std::function<void()> end;
  };

  /// Moves everything on that can move, and waits for the network in between: for a few milliseconds
  /// when nothing is under way.
  void turn(const wait_hooks& hooks);

  /// The same without a wait, for calls that were taken while a turn waits.
  void move_on();

  /// Whether a turn that waits has to be woken for what was taken meanwhile.
  [[nodiscard]] bool oversleeps() const { return time_to_wake(clock::now()) < wakes_at_; }

  /// True when there is nothing to turn for.
  [[nodiscard]] size_t outstanding() const { return queued_count_ + active_; }
  [[nodiscard]] bool is_idle() const { return queued_.empty() && active_ == 0; }

private:
  // -- the way of an exchange -----------------------------------------------------------

  void start_queued();
  void run(exchange& what);
  void finish(exchange& what, caf::expected<http_response> result);
  void send_answers();
  void show_load();
  void move_to(exchange& what, std::list<exchange>& list);

  // -- time -----------------------------------------------------------------------------

  void watch(exchange& what);
  [[nodiscard]] clock::time_point next_due(const exchange& what) const;
  [[nodiscard]] clock::time_point stream_due(const exchange& what) const;
  [[nodiscard]] caf::error lateness(const exchange& what, clock::time_point now) const;
  void expire(clock::time_point now);

  // -- streams --------------------------------------------------------------------------

  void list(exchange& what);
  void conclude(exchange& what, caf::expected<http_response> result);
  void move_streams();
  void move_stream(exchange& what);
  void resume(exchange& what);
  void note_hold(exchange& what, bool is_held);

  // -- hosts ------------------------------------------------------------------------------

  host& host_of(std::string_view url);
  void send_scout(host& h);
  void recall_scout(host& h);
  void on_scout_back(host& h, CURLcode result);
  static curl_socket_t on_scout_socket(void* h, curlsocktype, curl_sockaddr*);

  // -- libcurl ------------------------------------------------------------------------------

  shard& shard_with_room();
  void add_shard(size_t connections);
  transfer& idle_transfer();
  void collect_finished();
  void touch(shard& s, curl_socket_t fd, int mask);
  void let_pieces_come() const;
  void wait(const wait_hooks& hooks);
  [[nodiscard]] clock::time_point time_to_wake(clock::time_point now) const;
  static int on_timer(CURLM*, long ms, void* s);

  // -- sockets ------------------------------------------------------------------------------

  /// What epoll knows of a socket.
  struct socket_watch {
    shard* home = nullptr;
    uint32_t events = 0;
    /// A connection: whoever opens and closes it says so.
    bool is_connection = false;
    bool is_known = false;
    /// Known still, though libcurl has no use for it at present.
    bool is_idle = false;
  };

  socket_watch& watch_of(curl_socket_t fd);
  void tell_epoll(curl_socket_t fd, socket_watch& of, uint32_t events);
  void take_from_epoll(curl_socket_t fd, socket_watch& of);
  static int on_socket(CURL*, curl_socket_t fd, int what, void* s, void*);
  static curl_socket_t on_open(void* engine, curlsocktype, curl_sockaddr* address);
  static int on_close(void* engine, curl_socket_t fd);

  /// Exchanges that are started before the network is looked at again. Without a limit a thousand
  /// that come at once are all connected before the first request goes out, and the endpoint sits
  /// idle meanwhile.
  static constexpr size_t starts_a_turn = 16;

  http_options options_;
  size_t capacity_;
  int wake_fd_;
  http_metrics& counts_;
  int epoll_fd_;
  clock::time_point wakes_at_;
  curl_settings settings_;
  std::shared_ptr<const parsed_url> last_url_;

  /// Exchanges by where they are; those on their way through DNS are in their host's list.
  std::list<exchange> unused_;
  std::list<exchange> queued_;
  std::list<exchange> running_;
  /// Over, but for what their sinks have not taken.
  std::list<exchange> draining_;
  /// Running ones, draining ones and those waiting for a host.
  size_t active_ = 0;
  size_t starts_left_ = starts_a_turn;
  size_t queued_count_ = 0;
  struct answer {
    exchange::completion done;
    caf::expected<http_response> result;
  };
  std::vector<answer> answers_;
  uint64_t last_ticket_ = 0;
  std::multimap<call_id, exchange*> by_id_;

  struct due_key {
    exchange* call;
    uint64_t ticket;
    clock::time_point at;
  };
  static bool is_live(const due_key& x) {
    return x.call->ticket == x.ticket && x.call->watched == x.at;
  }
  deadline_heap<due_key> dues_;

  /// Streams that got something, from the network or from their sinks.
  std::vector<exchange_key> listed_;
  size_t held_streams_ = 0;
  size_t streams_ = 0;

  std::map<std::string, std::unique_ptr<host>, std::less<>> hosts_;
  /// The first one is for the scouts, which hold no connections; the others carry transfers.
  std::deque<shard> shards_;
  std::vector<shard*> touched_;
  std::deque<transfer> transfers_;
  std::vector<transfer*> idle_;
  /// By their numbers.
  std::vector<socket_watch> sockets_;
};

} // namespace chainmail
