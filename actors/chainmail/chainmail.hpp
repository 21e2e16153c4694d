// All of chainmail in one include.
#pragma once

#include <chainmail/caf/main.hpp>
#include <chainmail/chains/llm_chain.hpp>
#include <chainmail/documents/chat_vector_db_chain.hpp>
#include <chainmail/documents/map_reduce_chain.hpp>
#include <chainmail/documents/map_rerank_chain.hpp>
#include <chainmail/documents/qa_chain.hpp>
#include <chainmail/documents/refine_chain.hpp>
#include <chainmail/documents/retrieval_qa_chain.hpp>
#include <chainmail/documents/stuff_chain.hpp>
#include <chainmail/documents/summarize_chain.hpp>
#include <chainmail/gather/calls.hpp>
#include <chainmail/gather/gather.hpp>
#include <chainmail/http/http.hpp>
#include <chainmail/llm/openai_client.hpp>
#include <chainmail/llm/scripted_llm.hpp>
#include <chainmail/messages.hpp>
#include <chainmail/prompts/few_shot.hpp>
#include <chainmail/prompts/prompt_template.hpp>
