// A message that a chain does not take: its context is missing.
// says: receiver does not accept given message
#include <chainmail/chainmail.hpp>

void ask(caf::event_based_actor* self, const chainmail::chain_actor& chain) {
  chainmail::values inputs{{"thing", "socks"}};
#ifdef MISTAKE
  chainmail::compat::request(self, chain, chainmail::call_atom_v, inputs); // here
#else
  chainmail::compat::request(
      self, chain, chainmail::call_atom_v, inputs, chainmail::make_context(self))
      .then([](const chainmail::values&) {});
#endif
}
