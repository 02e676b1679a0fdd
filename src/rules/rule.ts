import type { IncomingMessage } from 'node:http'
import type { Http2ServerRequest } from 'node:http2'
import type { Description } from '../description.js'
import { ClientCertConfigError, deny } from '../errors.js'
import type { ClientIdentity } from '../identity/identity.js'
import { isThenable } from '../thenable.js'
import { readCall } from './call.js'
import { decisive, type FailedOutcome, type RuleOutcome, type RuleReason } from './outcome.js'

export type { RuleOutcome, RuleReason } from './outcome.js'

/** A request of `node:http`, `node:https` or `node:http2`; undefined where a socket or a chain was authenticated. */
export type RuleRequest = IncomingMessage | Http2ServerRequest | undefined

const brand = Symbol.for('mtls-identity/1.Rule')

/** What a rule says can change while it is in use: files, lists. */
export interface LiveSource {
  /** Rises with every change. */
  readonly generation: number
  /** Resolves when it was read once; rejects where that failed. */
  ready(): Promise<void>
  close(): void
}

/** Something that holds of an identity, or does not. Made by the functions of this module only. */
export interface Rule {
  /** How it was written: `any(dnsName("a.test"), commonName("admin"))`. */
  readonly description: string
  /** True where the outcome depends on the identity alone, so that it may be remembered with it. */
  readonly isOfIdentity: boolean
  /** @internal Denials first, then the rule itself. `at` is milliseconds since 1970. */
  evaluate(identity: ClientIdentity, request: RuleRequest, at?: number): RuleOutcome | Promise<RuleOutcome>
  /** @internal */
  readonly [brand]: RuleParts
}

/** @internal What combinations need to know of the rules they are made of. */
export interface RuleParts {
  readonly description: string
  readonly isOfIdentity: boolean
  /** The rule without its denials. */
  readonly allow: Rule['evaluate']
  /** Rules that refuse where they hold, before anything else is asked. */
  readonly denials: readonly Rule[]
  /** It says nothing but whom to refuse. */
  readonly isDenial: boolean
  /** Rules in it that name a subject and are bound to no issuer: with several trust anchors, each CA can make such a client. */
  readonly unbound: readonly string[]
  /** It binds to an issuer, or to one certificate. */
  readonly bindsIssuer: boolean
  /** What it reads that can change. */
  readonly live: readonly LiveSource[]
  /** Its name and operands, and those of the rules it is made of: a tree. */
  readonly describe: () => Description
}

const bare = { denials: [], isDenial: false, unbound: [], bindsIssuer: false, live: [] } as const

/** @internal A rule from its parts. */
export function makeRule(given: Pick<RuleParts, 'description' | 'isOfIdentity' | 'allow'> & Partial<RuleParts>): Rule {
  // Most descriptions are calls with their operands, and nothing else is to be said.
  const describe = () => readCall(given.description)
  const parts: RuleParts = Object.freeze({ ...bare, describe, ...given })
  const { description, isOfIdentity, allow, denials } = parts
  const evaluate = denials.length === 0 ? allow : denyingFirst(parts)
  return Object.freeze({ description, isOfIdentity, evaluate, [brand]: parts })
}

/** @internal */
export const partsOf = (rule: Rule): RuleParts => rule[brand]

/** @internal What a rule says of itself: all that decides but what a function of the application does. One of an older copy of this package says less. */
export function describeRule(rule: Rule): Description {
  const { describe } = partsOf(rule) as Partial<RuleParts>
  return describe?.() ?? { kind: 'custom', operands: [rule.description] }
}

/** "Deny before allow" (Envoy's RBAC order): a denial that holds, or is broken, decides whatever stands beside it. */
function denyingFirst({ denials, allow }: RuleParts): Rule['evaluate'] {
  return async (identity, request, at) => {
    for (const denial of denials) {
      const outcome = await denial.evaluate(identity, request, at)
      if (!outcome.holds) return outcome
    }
    return allow(identity, request, at)
  }
}

/** @internal How a rule about the identity alone looks at it. */
export interface Look {
  holds: (identity: ClientIdentity) => boolean
  /** The values it looks at, quoted. */
  found?: (identity: ClientIdentity) => string
  /** What the identity has instead and what to do, for the operator. */
  hint?: (identity: ClientIdentity) => string | undefined
}

/** @internal A rule that looks at the identity alone. */
export function identityRule(
  description: string,
  { holds, found, hint }: Look,
  parts: Partial<Pick<RuleParts, 'unbound' | 'bindsIssuer' | 'describe'>> = {},
): Rule {
  const allow: Rule['evaluate'] = (identity) => {
    const fact = found === undefined ? {} : { found: found(identity) }
    if (holds(identity) === true) return Object.freeze({ rule: description, holds: true, ...fact })
    const text = hint?.(identity)
    const advice = text === undefined ? {} : { hint: text }
    return Object.freeze({ rule: description, holds: false, reason: 'did-not-hold', ...advice, ...fact })
  }
  return makeRule({ description, isOfIdentity: true, allow, ...parts })
}

/** Whether a value is a rule, made by any copy of this package. */
export function isRule(value: unknown): value is Rule {
  return typeof value === 'object' && value !== null && typeof (value as Record<symbol, unknown>)[brand] === 'object'
}

const outcomes = new WeakMap<Rule, WeakMap<ClientIdentity, RuleOutcome>>()

/** What comes of a rule. Where it depends on the identity alone it is asked once for each. */
export function judge(
  rule: Rule,
  identity: ClientIdentity,
  request: RuleRequest,
  at: number,
): RuleOutcome | Promise<RuleOutcome> {
  if (!rule.isOfIdentity) return rule.evaluate(identity, request, at)
  const known = outcomes.get(rule)?.get(identity)
  if (known !== undefined) return known
  const outcome = rule.evaluate(identity, undefined, at)
  return isThenable(outcome)
    ? outcome.then((late) => remember(rule, identity, late))
    : remember(rule, identity, outcome)
}

function remember(rule: Rule, identity: ClientIdentity, outcome: RuleOutcome): RuleOutcome {
  // What is broken may be mended: an answer is remembered, a failure is not.
  if (!outcome.holds && decisive(outcome).reason !== 'did-not-hold') return outcome
  const known = outcomes.get(rule) ?? new WeakMap<ClientIdentity, RuleOutcome>()
  outcomes.set(rule, known)
  known.set(identity, outcome)
  return outcome
}

/** The refusal that an outcome amounts to. */
export function refusalBy(outcome: FailedOutcome) {
  const { rule, reason, hint } = decisive(outcome)
  return deny('ERR_CLIENT_CERT_RULE', { rule, reason, ...(hint === undefined ? {} : { hint }) }, { depth: 0 })
}

/** Rises when something a rule reads has changed. */
export function generationOf(rule: Rule | undefined): number {
  let sum = 0
  if (rule !== undefined) for (const source of partsOf(rule).live) sum += source.generation
  return sum
}

/** @internal The operands of a combination, or the mistake among them. */
export function checkedRules(name: string, rules: readonly Rule[]): readonly Rule[] {
  for (const rule of rules) {
    if (isRule(rule)) continue
    const found = rule === undefined ? 'nothing' : typeof rule
    throw new ClientCertConfigError(
      `${name}(…): expected rules, got ${found} — a function becomes a rule by custom("name", fn)`,
    )
  }
  return Object.freeze([...rules])
}

/** @internal */
export const held = (rule: string): RuleOutcome => Object.freeze({ rule, holds: true })

/** @internal */
export const broken = (rule: string, reason: RuleReason, hint?: string): RuleOutcome =>
  Object.freeze({ rule, holds: false, reason, ...(hint === undefined ? {} : { hint }) })
