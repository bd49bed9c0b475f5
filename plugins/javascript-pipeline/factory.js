// A factory in JavaScript: a post in the language the client asks for, with a head a web site can read.

import { write as log } from 'stepmill:plugin/log@1.0.0';
import { tell } from 'stepmill:plugin/progress@1.0.0';

const LANGUAGES = { en: 'English', de: 'German', fr: 'French', ja: 'Japanese' };

const inputSchema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'JavascriptPipelineConfig',
  type: 'object',
  properties: {
    language: { type: 'string', enum: Object.keys(LANGUAGES), default: 'en' },
    tags: { type: 'array', items: { type: 'string' }, maxItems: 10, default: [] },
  },
};

export const workflowFactory = {
  describe() {
    return {
      id: 'javascript-pipeline',
      kind: 'factory',
      name: 'JavaScript Pipeline',
      description: 'Writes a post, translates it if asked to, and puts a head on it.',
      inputSchema: JSON.stringify(inputSchema),
      capabilities: [{ tag: 'model', val: '*' }],
    };
  },

  build(context) {
    if (!context.trusted.scopes.includes('workflows:run')) {
      throw { tag: 'permission', val: "Missing 'workflows:run' scope" };
    }
    const { language = 'en', tags = [] } = JSON.parse(context.input ?? '{}');

    const writing = agentStep('write', 'Writer', 'Write a short post about the topic.');
    const steps = [{ ...writing, options: { retries: 1, onFailure: 'fail', history: 0 } }];
    if (language !== 'en') {
      const order = `Translate the post to ${LANGUAGES[language]}. Answer with the translation only.`;
      steps.push(agentStep('translate', 'Translator', order));
    }
    steps.push(functionStep('publish', 'publish', { language, tags }));
    return workflow('JavaScript Pipeline', steps);
  },
};

const published = {
  /** Puts the title, the language and the tags before the post. */
  publish(input) {
    const head = { title: input.message, ...JSON.parse(input.function.argument) };
    const lines = Object.entries(head).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
    tell('putting a head on it', JSON.stringify({ lines: lines.length }));
    log('info', `publish a post of ${input.previous?.length ?? 0} characters`);
    return `---\n${lines.join('\n')}\n---\n\n${input.previous ?? ''}`;
  },
};

export const functions = {
  run(_context, input) {
    const name = input.function.name;
    if (!Object.hasOwn(published, name)) {
      throw `the factory has no function \`${name}\``;
    }
    return { content: published[name](input), stop: false };
  },
};

function agentStep(name, agent, instructions) {
  const val = { name: agent, model: { id: 'gpt-5.4' }, instructions };
  return { name, executor: { tag: 'agent', val } };
}

function functionStep(name, fn, argument) {
  const val = { name: fn, argument: JSON.stringify(argument) };
  return { name, executor: { tag: 'function', val } };
}

/** One step after the other: the root is a sequence, and its children stand behind it. */
function workflow(name, steps) {
  const root = { tag: 'sequence', val: steps.map((_, place) => place + 1) };
  return { name, nodes: [root, ...steps.map((val) => ({ tag: 'step', val }))], root: 0 };
}
