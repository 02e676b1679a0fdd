import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import { ClientCertConfigError, deny, refuseUnknownOptions } from '../errors.js'
import type { ClientIdentity } from '../identity/identity.js'

/** A request of `node:http`, `node:https` or `node:http2`; undefined where a socket or a chain was authenticated. */
export type RuleRequest = IncomingMessage | Http2ServerRequest | undefined

export type RuleOutcome =
  | { readonly holds: true }
  | {
      readonly holds: false
      readonly rule: string
      readonly reason: 'did-not-hold' | 'threw' | 'timed-out' | 'not-true'
      readonly hint?: string
    }

const brand = Symbol.for('mtls-identity/1.Rule')

/** Something that holds of an identity, or does not. Made by the functions of this module only. */
export interface Rule {
  /** How it was written: `any(dnsName("a.test"), commonName("admin"))`. */
  readonly description: string
  /** False where the outcome depends on the identity alone, so that it may be remembered with it. */
  readonly readsRequest: boolean
  /** @internal */
  evaluate(identity: ClientIdentity, request: RuleRequest): RuleOutcome | Promise<RuleOutcome>
  /** @internal */
  readonly [brand]: true
}

const held: RuleOutcome = Object.freeze({ holds: true })

/** @internal A rule from its parts. */
export function makeRule(description: string, readsRequest: boolean, evaluate: Rule['evaluate']): Rule {
  return Object.freeze({ description, readsRequest, evaluate, [brand]: true as const })
}

/** @internal A rule that looks at the identity alone. `hint` says what the identity has instead, for the operator. */
export function identityRule(
  description: string,
  holds: (identity: ClientIdentity) => boolean,
  hint?: (identity: ClientIdentity) => string | undefined,
): Rule {
  return makeRule(description, false, (identity) => {
    if (holds(identity) === true) return held
    const text = hint?.(identity)
    return {
      holds: false,
      rule: description,
      reason: 'did-not-hold',
      ...(text === undefined ? {} : { hint: text }),
    }
  })
}

/** Whether a value is a rule, made by any copy of this package. */
export function isRule(value: unknown): value is Rule {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[brand] === true
}

/** Throws a refusal unless the rule holds. */
export async function demand(rule: Rule, identity: ClientIdentity, request: RuleRequest): Promise<void> {
  const outcome = await rule.evaluate(identity, request)
  if (outcome.holds === true) return
  const { rule: name, reason, hint } = outcome
  throw deny('ERR_CLIENT_CERT_RULE', { rule: name, reason, ...(hint === undefined ? {} : { hint }) }, { depth: 0 })
}

/** Holds if every rule holds; asks them in order and stops at the first that does not. */
export function all(first: Rule, ...rest: readonly Rule[]): Rule {
  const rules = checked('all', [first, ...rest])
  return makeRule(describe('all', rules), readsRequest(rules), async (identity, request) => {
    for (const rule of rules) {
      const outcome = await rule.evaluate(identity, request)
      if (outcome.holds !== true) return outcome
    }
    return held
  })
}

/** Holds if one rule holds; asks them in order and stops at the first that does. A rule that is broken does not hold. */
export function any(first: Rule, ...rest: readonly Rule[]): Rule {
  const rules = checked('any', [first, ...rest])
  const description = describe('any', rules)
  return makeRule(description, readsRequest(rules), async (identity, request) => {
    const hints: string[] = []
    let broken: RuleOutcome | undefined
    for (const rule of rules) {
      const outcome = await rule.evaluate(identity, request)
      if (outcome.holds === true) return held
      if (outcome.reason !== 'did-not-hold') broken ??= outcome
      if (outcome.hint !== undefined) hints.push(outcome.hint)
    }
    // Kept apart from "did not hold", which a not() around this would turn into an admission.
    if (broken !== undefined) return broken
    const hint = hints.length === 1 ? { hint: hints[0] as string } : {}
    return { holds: false, rule: description, reason: 'did-not-hold', ...hint }
  })
}

/** Holds if the rule does not hold. A rule that throws, times out or returns something else than a boolean refuses here too. */
export function not(rule: Rule, ...others: readonly never[]): Rule {
  if (others.length > 0) {
    throw new ClientCertConfigError(`not(…): takes one rule, got ${others.length + 1} — not(any(…)) or not(all(…))`)
  }
  const [inner] = checked('not', [rule]) as [Rule]
  const description = describe('not', [inner])
  return makeRule(description, inner.readsRequest, async (identity, request) => {
    const outcome = await inner.evaluate(identity, request)
    if (outcome.holds === true) return { holds: false, rule: description, reason: 'did-not-hold' }
    return outcome.reason === 'did-not-hold' ? held : outcome
  })
}

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
  return makeRule(description, remember !== 'identity', async (identity, request) => {
    try {
      // A rule whose answer is remembered for other requests must not see this one.
      const answer: unknown = holds(identity, remember === 'identity' ? undefined : request)
      return judge(description, isThenable(answer) ? await withTimeout(answer, timeout) : answer)
    } catch (error) {
      return { holds: false, rule: description, reason: 'threw', hint: textOf(error) }
    }
  })
}

/** What was thrown, as text; what a rule throws may be anything. */
function textOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown)
  } catch {
    return 'something that cannot be printed'
  }
}

const timedOut = Symbol('timed out')

function judge(rule: string, answer: unknown): RuleOutcome {
  if (answer === true) return held
  if (answer === false) return { holds: false, rule, reason: 'did-not-hold' }
  if (answer === timedOut) return { holds: false, rule, reason: 'timed-out' }
  return {
    holds: false,
    rule,
    reason: 'not-true',
    hint: answer === null ? 'null' : `a value of type ${typeof answer}`,
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'

async function withTimeout(answer: PromiseLike<unknown>, milliseconds: number): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<symbol>((resolve) => {
    timer = setTimeout(resolve, milliseconds, timedOut)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

function checked(name: string, rules: readonly Rule[]): readonly Rule[] {
  for (const rule of rules) {
    if (isRule(rule)) continue
    const found = rule === undefined ? 'nothing' : typeof rule
    throw new ClientCertConfigError(
      `${name}(…): expected rules, got ${found} — a function becomes a rule by custom("name", fn)`,
    )
  }
  return Object.freeze([...rules])
}

const describe = (name: string, rules: readonly Rule[]) =>
  `${name}(${rules.map(({ description }) => description).join(', ')})`
const readsRequest = (rules: readonly Rule[]) => rules.some((rule) => rule.readsRequest)
