// One connection of the simulator's HTTP server, and the types of Asio that it is made of. Private to
// the server.

#pragma once

#include "endpoint.hpp"
#include "stats.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>

namespace chainmail::simulator {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;
using steady_clock = std::chrono::steady_clock;

// The concrete executor spares every operation the type erasure of any_io_executor.
using executor = asio::io_context::executor_type;
using socket_type = asio::basic_stream_socket<tcp, executor>;
using acceptor_type = asio::basic_socket_acceptor<tcp, executor>;
using timer_type =
    asio::basic_waitable_timer<steady_clock, asio::wait_traits<steady_clock>, executor>;
template <class T>
using awaitable = asio::awaitable<T, executor>;

inline constexpr auto with_error = asio::as_tuple(asio::use_awaitable_t<executor>{});

inline constexpr auto drip_pause = std::chrono::milliseconds(50);
inline constexpr std::size_t drip_piece = 48;

class connection : public std::enable_shared_from_this<connection> {
public:
  connection(socket_type accepted, counters& counted)
    : socket(std::move(accepted)), timer_(socket.get_executor()), counted_(counted) {
    counted_.change([](stats& s) {
      ++s.connections_accepted;
      s.most_connections_open = std::max(s.most_connections_open, ++s.connections_open);
    });
  }

  ~connection() {
    counted_.change([](stats& s) { --s.connections_open; });
  }

  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  /// False: the client left before `until`. One that shuts down only its sending half counts as
  /// gone.
  awaitable<bool> stays_until(steady_clock::time_point until) {
    timer_.expires_at(until);
    is_waiting_ = true;
    watch();
    co_await timer_.async_wait(with_error);
    is_waiting_ = false;
    co_return !has_left_;
  }

  /// Closing then resets the connection in place of ending it in order.
  void reset_on_close() {
    error_code ignored;
    socket.set_option(socket_type::linger(true, 0), ignored);
  }

  socket_type socket;
  boost::beast::flat_buffer input;   ///< received, not yet parsed
  steady_clock::time_point received; ///< when the last request was complete

private:
  /// Readiness while a request waits means that the client left, or sent its next request early;
  /// after that the watch is off until the next wait. A watch outlives its wait: taking it back
  /// would cost more than letting the next request trigger it.
  void watch() {
    if (std::exchange(is_watched_, true))
      return;
    socket.async_wait(socket_type::wait_read, [self = shared_from_this()](error_code error) {
      self->is_watched_ = false;
      if (error || !self->is_waiting_)
        return;
      char next = 0;
      self->socket.receive(asio::buffer(&next, 1), socket_type::message_peek, error);
      if (error == asio::error::would_block)
        self->watch();
      else if (error) {
        self->has_left_ = true;
        self->timer_.cancel();
      }
    });
  }

  timer_type timer_;
  counters& counted_;
  bool is_waiting_ = false;
  bool is_watched_ = false;
  bool has_left_ = false;
};

// -- counting -----------------------------------------------------------------

inline void count_start(counters& counted, const plan& decided) {
  if (decided.is_counted)
    counted.change([&decided](stats& s) {
      ++s.requests;
      s.distinct_calls += decided.call == call_novelty::first ? 1 : 0;
      s.repeated_calls += decided.call == call_novelty::repeated ? 1 : 0;
      s.most_in_flight = std::max(s.most_in_flight, ++s.in_flight);
    });
}

inline void count_end(counters& counted, const plan& decided) {
  if (decided.is_counted)
    counted.change([&decided](stats& s) {
      --s.in_flight;
      ++counter_of(s, decided);
    });
}

inline void count_abort(counters& counted, const plan& decided) {
  if (decided.is_counted)
    counted.change([](stats& s) {
      --s.in_flight;
      ++s.aborted;
    });
}

} // namespace chainmail::simulator
