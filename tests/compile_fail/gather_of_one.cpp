// One set of inputs where a list of them is wanted.
// says: use_call_for_one_input
#include <chainmail/chainmail.hpp>

auto names(caf::scoped_actor& self, const chainmail::chain_actor& chain) {
#ifdef MISTAKE
  return chainmail::gather(self, chain, {{"thing", "socks"}}); // here
#else
  return chainmail::gather(self, chain, {{{"thing", "socks"}}, {{"thing", "hats"}}});
#endif
}
