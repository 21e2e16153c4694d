// All of chainmail in one include.
#pragma once

#include <chainmail/caf/main.hpp>
#include <chainmail/chains/llm_chain.hpp>
#include <chainmail/gather/calls.hpp>
#include <chainmail/gather/gather.hpp>
#include <chainmail/http/http.hpp>
#include <chainmail/llm/openai_client.hpp>
#include <chainmail/llm/scripted_llm.hpp>
#include <chainmail/messages.hpp>
#include <chainmail/prompts/few_shot.hpp>
#include <chainmail/prompts/prompt_template.hpp>
