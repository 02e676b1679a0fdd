import { describe, expect, test } from '@jest/globals'
import { ClientCertConfigError } from '../../src/errors.js'
import type { ClientIdentity } from '../../src/identity/identity.js'
import { all, any, not } from '../../src/rules/combinators.js'
import { custom } from '../../src/rules/custom.js'
import { isFailed } from '../../src/rules/outcome.js'
import { isRule, judge, type Rule, type RuleOutcome, refusalBy } from '../../src/rules/rule.js'
import { thrownBy } from '../support/pki.js'

const nobody = {} as ClientIdentity
const outcomeOf = async (rule: Rule): Promise<RuleOutcome> => rule.evaluate(nobody, undefined)
const word = (outcome: RuleOutcome) => (outcome.holds === true ? 'holds' : outcome.reason)

const yes = custom('yes', () => true)
const no = custom('no', () => false)
const throws = custom('throws', () => {
  throw new Error('broken')
})
const late = custom('late', () => new Promise<boolean>(() => {}), { timeout: 1 })
const truthy = custom('truthy', () => 1 as unknown as boolean)

describe('the truth table', () => {
  const values = { yes, no, throws, late, truthy }
  type Name = keyof typeof values
  const names = Object.keys(values) as Name[]
  const broken: Record<Name, string | undefined> = {
    yes: undefined,
    no: undefined,
    throws: 'threw',
    late: 'timed-out',
    truthy: 'not-true',
  }
  const single = (name: Name) => broken[name] ?? (name === 'yes' ? 'holds' : 'did-not-hold')

  test.each(names)('%s; not(%s)', async (name) => {
    expect(word(await outcomeOf(values[name]))).toBe(single(name))
    const negated = { yes: 'did-not-hold', no: 'holds' }[name as string] ?? single(name)
    expect(word(await outcomeOf(not(values[name])))).toBe(negated)
    expect(word(await outcomeOf(not(not(values[name]))))).toBe(single(name))
    expect(word(await outcomeOf(all(values[name])))).toBe(single(name))
    expect(word(await outcomeOf(any(values[name])))).toBe(single(name))
  })

  const pairs = names.flatMap((a) => names.map((b): [Name, Name] => [a, b]))
  test.each(pairs)('all(%s, %s), any(%s, %s) and their negations', async (a, b) => {
    const inBoth = (name: Name) => a === name && b === name
    const [ofAll, ofAny] = [
      word(await outcomeOf(all(values[a], values[b]))),
      word(await outcomeOf(any(values[a], values[b]))),
    ]
    // all: the first that does not hold decides. any: one that holds decides, else the first that is broken.
    expect(ofAll).toBe(inBoth('yes') ? 'holds' : a === 'yes' ? single(b) : single(a))
    expect(ofAny).toBe(a === 'yes' || b === 'yes' ? 'holds' : (broken[a] ?? broken[b] ?? 'did-not-hold'))
    const [notAll, notAny] = [
      word(await outcomeOf(not(all(values[a], values[b])))),
      word(await outcomeOf(not(any(values[a], values[b])))),
    ]
    // Negation admits only where the rule was asked and said false; never because something broke.
    expect(notAll).toBe(ofAll === 'did-not-hold' ? 'holds' : ofAll === 'holds' ? 'did-not-hold' : ofAll)
    expect(notAny).toBe(ofAny === 'did-not-hold' ? 'holds' : ofAny === 'holds' ? 'did-not-hold' : ofAny)
    if (notAny === 'holds') expect([a, b]).toEqual(['no', 'no'])
    if (notAll === 'holds') expect([a, b].includes('no')).toBe(true)
  })

  test('C-05: a broken rule refuses at any depth of negation and combination', async () => {
    const wraps: ((rule: Rule) => Rule)[] = [
      (rule) => not(rule),
      (rule) => not(any(rule)),
      (rule) => not(all(rule)),
      (rule) => not(any(no, rule)),
      (rule) => not(any(rule, no)),
      (rule) => not(all(yes, rule)),
      (rule) => all(yes, not(any(not(all(rule)), no))),
      (rule) => any(no, not(rule)),
    ]
    for (const rule of [throws, late, truthy]) {
      for (const outer of wraps) {
        expect((await outcomeOf(outer(rule))).holds).toBe(false)
        for (const inner of wraps) expect((await outcomeOf(outer(inner(rule)))).holds).toBe(false)
      }
    }
  })
})

describe('evaluation', () => {
  function counted() {
    const calls: string[] = []
    const rule = (name: string, value: boolean) =>
      custom(name, () => {
        calls.push(name)
        return value
      })
    return { calls, rule }
  }

  test('all asks in order and stops at the first that does not hold', async () => {
    const { calls, rule } = counted()
    await outcomeOf(all(rule('a', true), rule('b', false), rule('c', true)))
    expect(calls).toEqual(['a', 'b'])
  })

  test('any asks in order and stops at the first that holds', async () => {
    const { calls, rule } = counted()
    await outcomeOf(any(rule('a', false), rule('b', true), rule('c', true)))
    expect(calls).toEqual(['a', 'b'])
  })

  test('a combination does not follow the list it was made from', async () => {
    const list: [Rule, ...Rule[]] = [no, no]
    const rule = any(...list)
    list[0] = yes
    list.push(yes)
    expect((await outcomeOf(rule)).holds).toBe(false)
  })

  test('a combination is of the identity alone if each of its rules is', () => {
    const ofIdentity = custom('id', () => true, { remember: 'identity' })
    expect(
      [yes, ofIdentity, not(ofIdentity), not(yes), all(ofIdentity, ofIdentity), any(ofIdentity, yes)].map(
        (rule) => rule.isOfIdentity,
      ),
    ).toEqual([false, true, true, false, true, false])
  })

  test('the refusal names the rule that decided, with reason and hint', async () => {
    const refusal = async (rule: Rule) => {
      const outcome = await judge(rule, nobody, undefined, 0)
      return isFailed(outcome) ? refusalBy(outcome) : undefined
    }
    expect(await refusal(all(yes))).toBeUndefined()
    expect(await refusal(all(yes, throws))).toMatchObject({
      code: 'ERR_CLIENT_CERT_RULE',
      status: 403,
      depth: 0,
      detail: { rule: 'custom("throws")', reason: 'threw', hint: 'broken' },
    })
    expect(await refusal(not(yes))).toMatchObject({
      detail: { rule: 'not(custom("yes"))', reason: 'did-not-hold' },
    })
  })
})

describe('construction', () => {
  test('rules are described as they were written', () => {
    expect(any(yes, not(all(no, yes))).description).toBe('any(custom("yes"), not(all(custom("no"), custom("yes"))))')
  })

  const combinators = { all, any, not } as unknown as Record<string, (...rules: unknown[]) => Rule>
  test.each(Object.keys(combinators))(
    'C-09: %s() of nothing, and of what is no rule, throws and names the fix',
    (name) => {
      const make = combinators[name] as (...rules: unknown[]) => Rule
      expect(thrownBy(() => make())).toBe(
        `ClientCertConfigError: ${name}(…): expected rules, got nothing — a function becomes a rule by custom("name", fn)`,
      )
      for (const given of [
        undefined,
        null,
        true,
        'x',
        () => true,
        [yes],
        { evaluate: () => ({ holds: true }) },
        Promise.resolve(yes),
      ]) {
        expect(() => make(given)).toThrow(ClientCertConfigError)
      }
      expect(() => make(yes)).not.toThrow()
    },
  )

  test('all and any refuse a bad rule among good ones', () => {
    expect(() => all(yes, undefined as unknown as Rule)).toThrow(ClientCertConfigError)
    expect(() => any(yes, (() => true) as unknown as Rule)).toThrow(ClientCertConfigError)
  })

  test('not takes one rule: a second one would be lost, and with it those it was to keep out', () => {
    expect(() => (not as (...rules: Rule[]) => Rule)(no, yes)).toThrow(
      /not\(…\): takes one rule, got 2 — not\(any\(…\)\)/,
    )
  })

  test('a rule is frozen, and nothing that only looks like one is one', () => {
    for (const rule of [yes, not(yes), all(yes), any(yes)]) {
      expect(Object.isFrozen(rule)).toBe(true)
      expect(isRule(rule)).toBe(true)
      expect(() => Object.assign(rule, { evaluate: () => ({ holds: true }) })).toThrow(TypeError)
      expect(isRule(JSON.parse(JSON.stringify(rule)))).toBe(false)
    }
    for (const given of [undefined, null, 'x', 1, {}, () => true]) expect(isRule(given)).toBe(false)
  })
})
