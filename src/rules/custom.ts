import { inTime } from '../deadline.js'
import { ClientCertConfigError, refuseUnknownOptions } from '../errors.js'
import type { ClientIdentity } from '../identity/identity.js'
import { textOf } from '../stack.js'
import { isThenable } from '../thenable.js'
import { broken, held, makeRule, type Rule, type RuleOutcome, type RuleRequest } from './rule.js'

export interface CustomRuleOptions {
  /** The function reads the identity only, and its answer may be remembered with it. Default: it runs on every request. */
  remember?: 'identity'
  /** Milliseconds until an answer that has not come refuses; 1 to 60,000. Default 1,000. */
  timeout?: number
}

/**
 * A rule of your own. Only `true` holds: a truthy value, an exception, a rejection and a missed timeout refuse.
 *
 * @example
 * rules.custom('office hours', () => new Date().getHours() < 18)
 */
export function custom(
  name: string,
  holds: (identity: ClientIdentity, request: RuleRequest) => boolean | Promise<boolean>,
  options: CustomRuleOptions = {},
): Rule {
  if (typeof name !== 'string' || name === '')
    throw new ClientCertConfigError('custom: the name is missing — custom("office hours", …)')
  if (typeof holds !== 'function')
    throw new ClientCertConfigError(`custom("${name}"): expected a function, got ${typeof holds}`)
  refuseUnknownOptions(`custom("${name}")`, options, ['remember', 'timeout'])
  const { timeout = 1_000, remember } = options
  if (!(Number.isFinite(timeout) && timeout >= 1 && timeout <= 60_000)) {
    throw new ClientCertConfigError(`custom("${name}"): timeout is ${timeout}, expected 1 to 60,000 milliseconds`)
  }
  if (remember !== undefined && remember !== 'identity') {
    throw new ClientCertConfigError(`custom("${name}"): remember is ${JSON.stringify(remember)}, expected 'identity'`)
  }
  const description = `custom(${JSON.stringify(name)})`
  const isOfIdentity = remember === 'identity'
  return makeRule({
    description,
    isOfIdentity,
    describe: () => ({
      kind: 'custom',
      operands: [name],
      remember,
      timeoutMilliseconds: timeout,
      where: { function: holds.name },
    }),
    allow: async (identity, request) => {
      try {
        // A rule whose answer is remembered for other requests must not see this one.
        const answer: unknown = holds(identity, isOfIdentity ? undefined : request)
        return judgeAnswer(
          description,
          isThenable(answer) ? await inTime(answer, timeout, { late: () => timedOut }) : answer,
        )
      } catch (error) {
        return error === timedOut ? broken(description, 'timed-out') : broken(description, 'threw', textOf(error))
      }
    },
  })
}

const timedOut = Symbol('timed out')

function judgeAnswer(rule: string, answer: unknown): RuleOutcome {
  if (answer === true) return held(rule)
  if (answer === false) return broken(rule, 'did-not-hold')
  return broken(rule, 'not-true', answer === null ? 'null' : `a value of type ${typeof answer}`)
}
