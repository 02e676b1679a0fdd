import { ClientCertConfigError } from '../errors.js'
import { isThenable } from '../thenable.js'
import { combined, decisive, type RuleOutcome } from './outcome.js'
import { checkedRules, describeRule, held, makeRule, partsOf, type Rule, type RuleParts } from './rule.js'

/** Holds if every rule holds; asks them in order and stops at the first that does not. Denials among them come first. */
export function all(first: Rule, ...rest: readonly Rule[]): Rule {
  const rules = checkedRules('all', [first, ...rest])
  const description = describe('all', rules)
  const bindsIssuer = rules.some((rule) => partsOf(rule).bindsIssuer)
  return makeRule({
    ...inherited('all', description, rules),
    bindsIssuer,
    unbound: bindsIssuer ? [] : rules.flatMap((rule) => partsOf(rule).unbound),
    allow: (identity, request, at) =>
      inTurn(
        rules,
        (rule) => partsOf(rule).allow(identity, request, at),
        (outcome) => !outcome.holds,
        (asked) => {
          const last = asked.at(-1) as RuleOutcome
          if (last.holds) return combined(description, { holds: true }, asked, undefined)
          const { reason, hint } = last
          return combined(description, { holds: false, reason, ...hinted(hint) }, asked, asked.length - 1)
        },
      ),
  })
}

/**
 * Holds if one rule holds; asks them in order and stops at the first that does. A rule that is broken does not hold. Denials among them come
 * first, and refuse whichever rule beside them holds.
 */
export function any(first: Rule, ...rest: readonly Rule[]): Rule {
  const rules = checkedRules('any', [first, ...rest])
  const description = describe('any', rules)
  const admitting = rules.filter((rule) => !partsOf(rule).isDenial)
  if (admitting.length === 0) {
    throw new ClientCertConfigError(
      `${description} admits nobody: it holds denials only — all(deny(…), …) where everybody else is meant`,
    )
  }
  return makeRule({
    ...inherited('any', description, rules),
    bindsIssuer: admitting.every((rule) => partsOf(rule).bindsIssuer),
    unbound: admitting.flatMap((rule) => partsOf(rule).unbound),
    allow: (identity, request, at) =>
      inTurn(
        admitting,
        (rule) => partsOf(rule).allow(identity, request, at),
        (outcome) => outcome.holds,
        (asked) => verdictOfAny(description, asked),
      ),
  })
}

function verdictOfAny(description: string, asked: readonly RuleOutcome[]): RuleOutcome {
  const last = asked.at(-1) as RuleOutcome
  if (last.holds) return combined(description, { holds: true }, asked, asked.length - 1)
  // Kept apart from "did not hold", which a not() around this would turn into an admission.
  const place = asked.findIndex((outcome) => !outcome.holds && outcome.reason !== 'did-not-hold')
  const broken = asked[place]
  if (broken !== undefined && !broken.holds) {
    const { reason, hint } = broken
    return combined(description, { holds: false, reason, ...hinted(hint) }, asked, place)
  }
  const hints = asked.flatMap((outcome) => (!outcome.holds && outcome.hint !== undefined ? [outcome.hint] : []))
  const only = hints.length === 1 ? hints[0] : undefined
  return combined(description, { holds: false, reason: 'did-not-hold', ...hinted(only) }, asked, undefined)
}

/** Holds if the rule does not hold. A rule that throws, times out or returns something else than a boolean refuses here too. */
export function not(rule: Rule, ...others: readonly never[]): Rule {
  const inner = onlyOne('not', rule, others)
  const description = describe('not', [inner])
  return makeRule({
    ...inherited('not', description, [inner]),
    allow: (identity, request, at) =>
      inTurn(
        [inner],
        (one) => partsOf(one).allow(identity, request, at),
        () => false,
        (asked) => negated(description, asked),
      ),
  })
}

function negated(description: string, asked: readonly RuleOutcome[], advice?: string): RuleOutcome {
  const [outcome] = asked as [RuleOutcome]
  const refused = { holds: false, reason: 'did-not-hold', ...hinted(advice) } as const
  if (outcome.holds) return combined(description, refused, asked, undefined)
  const { reason, hint } = decisive(outcome)
  if (reason === 'did-not-hold') return combined(description, { holds: true }, asked, undefined)
  return combined(description, { holds: false, reason, ...hinted(hint) }, asked, 0)
}

/**
 * Refuses where the rule holds, before any other rule is asked, and whatever the rules beside it say: a denial counts for the whole rule it
 * stands in, however deep. Where the rule does not hold, a denial has no say. One that is broken refuses.
 *
 * @example
 * rules.any(rules.deny(rules.fingerprint('3f:9a:…')), rules.trustDomain('acme.example'))
 */
export function deny(rule: Rule, ...others: readonly never[]): Rule {
  const inner = onlyOne('deny', rule, others)
  const description = describe('deny', [inner])
  const denial = makeRule({
    description,
    isOfIdentity: inner.isOfIdentity,
    allow: (identity, request, at) =>
      inTurn(
        [inner],
        (one) => partsOf(one).allow(identity, request, at),
        () => false,
        (asked) =>
          negated(description, asked, 'it names this client — take it out of the denial, or issue another certificate'),
      ),
  })
  return makeRule({
    ...inherited('deny', description, [inner]),
    denials: [denial],
    isDenial: true,
    allow: () => held(description),
  })
}

function onlyOne(name: string, rule: Rule, others: readonly unknown[]): Rule {
  if (others.length > 0) {
    throw new ClientCertConfigError(
      `${name}(…): takes one rule, got ${others.length + 1} — ${name}(any(…)) or ${name}(all(…))`,
    )
  }
  const [inner] = checkedRules(name, [rule]) as [Rule]
  if (partsOf(inner).denials.length > 0) {
    throw new ClientCertConfigError(
      `${describe(name, [inner])}: a denial turned round would admit whom it names — put deny(…) beside ${name}(…), not into it`,
    )
  }
  return inner
}

const hinted = (hint: string | undefined) => (hint === undefined ? {} : { hint })

function inherited(
  name: string,
  description: string,
  rules: readonly Rule[],
): Pick<RuleParts, 'description' | 'isOfIdentity' | 'denials' | 'live' | 'describe'> {
  return {
    description,
    isOfIdentity: rules.every((rule) => rule.isOfIdentity),
    denials: rules.flatMap((rule) => partsOf(rule).denials),
    live: [...new Set(rules.flatMap((rule) => partsOf(rule).live))],
    describe: () => ({ kind: name, of: rules.map(describeRule) }),
  }
}

type Outcomes = readonly RuleOutcome[]

/** Asks rules in order until one settles it; waits only where a rule does. */
function inTurn(
  rules: readonly Rule[],
  ask: (rule: Rule) => RuleOutcome | Promise<RuleOutcome>,
  settles: (outcome: RuleOutcome) => boolean,
  conclude: (asked: Outcomes) => RuleOutcome,
): RuleOutcome | Promise<RuleOutcome> {
  const asked: RuleOutcome[] = []
  for (const rule of rules) {
    const outcome = ask(rule)
    if (isThenable(outcome)) return later(asked, outcome)
    asked.push(outcome)
    if (settles(outcome)) break
  }
  return conclude(asked)

  async function later(before: RuleOutcome[], pending: Promise<RuleOutcome>): Promise<RuleOutcome> {
    before.push(await pending)
    while (!settles(before.at(-1) as RuleOutcome) && before.length < rules.length) {
      before.push(await ask(rules[before.length] as Rule))
    }
    return conclude(before)
  }
}

const describe = (name: string, rules: readonly Rule[]) =>
  `${name}(${rules.map(({ description }) => description).join(', ')})`
