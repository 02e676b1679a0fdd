/** deny before allow, and the tree of outcomes. */
import { describe, expect, test } from '@jest/globals'
import { ClientCertConfigError } from '../../src/errors.js'
import type { ClientIdentity } from '../../src/identity/identity.js'
import { limits } from '../../src/limits.js'
import { all, any, deny, not } from '../../src/rules/combinators.js'
import { custom } from '../../src/rules/custom.js'
import { decisive, isFailed, outcomeLines } from '../../src/rules/outcome.js'
import { judge, type Rule } from '../../src/rules/rule.js'
import { thrownBy } from '../support/pki.js'

const nobody = {} as ClientIdentity
const word = async (rule: Rule) => {
  const outcome = await rule.evaluate(nobody, undefined)
  return outcome.holds === true ? 'holds' : outcome.reason
}

const yes = custom('yes', () => true)
const no = custom('no', () => false)
const throws = custom('throws', () => {
  throw new Error('broken')
})

describe('the truth table of deny', () => {
  test.each<[denied: Rule, beside: Rule, ofAll: string, ofAny: string]>([
    [yes, yes, 'did-not-hold', 'did-not-hold'],
    [yes, no, 'did-not-hold', 'did-not-hold'],
    [yes, throws, 'did-not-hold', 'did-not-hold'],
    [no, yes, 'holds', 'holds'],
    [no, no, 'did-not-hold', 'did-not-hold'],
    [no, throws, 'threw', 'threw'],
    [throws, yes, 'threw', 'threw'],
    [throws, no, 'threw', 'threw'],
  ])('deny(%#) beside another rule, in either place', async (denied, beside, ofAll, ofAny) => {
    expect(await word(all(deny(denied), beside))).toBe(ofAll)
    expect(await word(all(beside, deny(denied)))).toBe(ofAll)
    expect(await word(any(deny(denied), beside))).toBe(ofAny)
    expect(await word(any(beside, deny(denied)))).toBe(ofAny)
  })

  test('a denial counts for the whole rule it stands in, however deep', async () => {
    expect(await word(any(yes, any(all(deny(yes), yes), yes)))).toBe('did-not-hold')
    expect(await word(any(yes, any(all(deny(no), yes), yes)))).toBe('holds')
    expect(await word(all(yes, all(any(no, all(deny(throws), no)), yes)))).toBe('threw')
  })

  test('denials are asked first, and nothing else where one holds', async () => {
    const calls: string[] = []
    const rule = (name: string, value: boolean) =>
      custom(name, () => {
        calls.push(name)
        return value
      })
    await all(rule('allow', true), deny(rule('denied', true)), deny(rule('never', true))).evaluate(nobody, undefined)
    expect(calls).toEqual(['denied'])
  })

  test('alone it admits everybody else', async () => {
    expect([await word(deny(yes)), await word(deny(no)), await word(deny(throws))]).toEqual([
      'did-not-hold',
      'holds',
      'threw',
    ])
  })

  test('C-09: any() of denials only admits nobody, and says so at construction', () => {
    expect(thrownBy(() => any(deny(yes), deny(no)))).toMatch(
      /admits nobody: it holds denials only — all\(deny\(…\), …\)/,
    )
    expect(() => all(deny(yes), deny(no))).not.toThrow()
  })

  test('a denial cannot be turned round into an admission', () => {
    for (const make of [
      () => not(deny(yes)),
      () => not(any(no, all(deny(yes), no))),
      () => deny(deny(yes)),
      () => deny(all(deny(no), yes)),
    ]) {
      expect(make).toThrow(ClientCertConfigError)
      expect(thrownBy(make)).toMatch(/a denial turned round would admit whom it names/)
    }
    expect(() => (deny as (...rules: Rule[]) => Rule)(no, yes)).toThrow(/deny\(…\): takes one rule, got 2/)
    expect(() => (deny as () => Rule)()).toThrow(/deny\(…\): expected rules, got nothing/)
  })
})

describe('the tree of outcomes', () => {
  const treeOf = async (rule: Rule) => judge(rule, nobody, undefined, 0)

  test('has every rule that was asked, and which one decided', async () => {
    expect(await treeOf(all(yes, any(no, yes), not(yes), no))).toEqual({
      rule: 'all(custom("yes"), any(custom("no"), custom("yes")), not(custom("yes")), custom("no"))',
      holds: false,
      reason: 'did-not-hold',
      decidedBy: 2,
      of: [
        { rule: 'custom("yes")', holds: true },
        {
          rule: 'any(custom("no"), custom("yes"))',
          holds: true,
          decidedBy: 1,
          of: [
            { rule: 'custom("no")', holds: false, reason: 'did-not-hold' },
            { rule: 'custom("yes")', holds: true },
          ],
        },
        {
          rule: 'not(custom("yes"))',
          holds: false,
          reason: 'did-not-hold',
          of: [{ rule: 'custom("yes")', holds: true }],
        },
      ],
    })
  })

  test('is frozen to its leaves', async () => {
    const tree = await treeOf(all(any(no, yes), deny(no)))
    const frozen = (at: typeof tree): boolean =>
      Object.isFrozen(at) && Object.isFrozen(at.of ?? Object.freeze([])) && (at.of ?? []).every(frozen)
    expect(frozen(tree)).toBe(true)
  })

  test('the rule that decided is found through combinations', async () => {
    const tree = await treeOf(all(yes, all(yes, not(yes))))
    expect(isFailed(tree) && decisive(tree).rule).toBe('not(custom("yes"))')
  })

  test('limits.outcomeEntries: of many rules the first are kept, and the one that decided', async () => {
    const many = Array.from({ length: limits.outcomeEntries }, () => no)
    const within = await treeOf(any(...(many.slice(1) as [Rule]), yes))
    expect(within.of).toHaveLength(limits.outcomeEntries)
    expect(within.decidedBy).toBe(limits.outcomeEntries - 1)
    const beyond = await treeOf(any(...(many as [Rule]), no, no, yes))
    expect(beyond.of).toHaveLength(limits.outcomeEntries + 1)
    expect(beyond.of?.[beyond.decidedBy as number]).toEqual({ rule: 'custom("yes")', holds: true })
    const none = await treeOf(any(...(many as [Rule]), no, no))
    expect(none.of).toHaveLength(limits.outcomeEntries)
    expect(none.holds).toBe(false)
  })

  test('limits.outcomeLines: as text it has no more lines, and no line can be broken out of', async () => {
    const wide = all(
      yes,
      ...Array.from({ length: 4 }, () => any(...(Array.from({ length: 15 }, () => no) as [Rule]), yes)),
    )
    const lines = outcomeLines(await treeOf(wide), { names: true })
    expect(lines).toHaveLength(limits.outcomeLines + 1)
    expect(lines.at(-1)).toBe('…')
    const small = outcomeLines(await treeOf(all(yes, any(no, yes))), { names: true })
    expect(small).toEqual([
      'held: all(custom("yes"), any(custom("no"), custom("yes")))',
      '  held: custom("yes")',
      '  held: any(custom("no"), custom("yes"))',
      '    did not hold: custom("no")',
      '    held: custom("yes")',
    ])
    const hostile = outcomeLines(await treeOf(custom('a\nheld: admin\u202e\u001b[2J', () => false)), { names: true })
    expect(hostile).toHaveLength(1)
    expect(hostile[0]).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  })
})

describe('what is remembered with an identity', () => {
  const counting = (answers: unknown[], options = {}) => {
    let calls = 0
    const rule = custom('counted', () => answers[Math.min(calls++, answers.length - 1)] as boolean, options)
    return { rule, calls: () => calls }
  }

  test('an answer about the identity is asked for once for each; one about the request every time', async () => {
    const [one, other] = [{} as ClientIdentity, {} as ClientIdentity]
    const remembered = counting([true, false], { remember: 'identity' })
    const rule = all(remembered.rule)
    for (const identity of [one, one, one]) expect((await judge(rule, identity, undefined, 0)).holds).toBe(true)
    expect((await judge(rule, other, undefined, 0)).holds).toBe(false)
    expect(remembered.calls()).toBe(2)
    const every = counting([true, false])
    expect((await judge(every.rule, one, undefined, 0)).holds).toBe(true)
    expect((await judge(every.rule, one, undefined, 0)).holds).toBe(false)
  })

  test('a failure is not remembered: the next request asks again', async () => {
    const { rule, calls } = counting(['no boolean', true], { remember: 'identity' })
    expect((await judge(rule, nobody, undefined, 0)).holds).toBe(false)
    expect((await judge(rule, nobody, undefined, 0)).holds).toBe(true)
    expect(calls()).toBe(2)
  })
})
