import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { ClientCertError } from '../../src/errors.js'
import type { ClientIdentity } from '../../src/identity/identity.js'
import { type CustomRuleOptions, custom } from '../../src/rules/custom.js'
import type { FailedOutcome } from '../../src/rules/outcome.js'
import { type Rule, refusalBy } from '../../src/rules/rule.js'
import { thrownBy } from '../support/pki.js'

const nobody = {} as ClientIdentity
type Answer = () => boolean | Promise<boolean>
const rule = (answer: () => unknown, options?: CustomRuleOptions) => custom('mine', answer as Answer, options)
const outcomeOf = async (given: Rule) => given.evaluate(nobody, undefined)

/** A thenable that is no promise. */
const thenable = (then: (resolve: (value: unknown) => void, reject: (reason: unknown) => void) => void) => () => ({
  then,
})

describe('C-05: only true holds', () => {
  test.each<[string, () => unknown]>([
    ['true', () => true],
    ['a promise of true', async () => true],
    ['a thenable of true', thenable((resolve) => resolve(true))],
    ['a thenable of true, then false', thenable((resolve) => [true, false].forEach(resolve))],
    ['a promise of a promise of true', async () => Promise.resolve(true)],
  ])('%s holds', async (_, answer) => {
    expect(await outcomeOf(rule(answer))).toEqual({ rule: 'custom("mine")', holds: true })
  })

  test.each<{ name: string; given: () => unknown; reason: string; hint?: string }>([
    { name: 'false', given: () => false, reason: 'did-not-hold' },
    { name: 'a promise of false', given: async () => false, reason: 'did-not-hold' },
    { name: 'a thenable of false', given: thenable((resolve) => resolve(false)), reason: 'did-not-hold' },
    {
      name: 'a thenable of false, then true',
      given: thenable((resolve) => [false, true].forEach(resolve)),
      reason: 'did-not-hold',
    },
    { name: 'undefined', given: () => undefined, reason: 'not-true', hint: 'a value of type undefined' },
    { name: 'null', given: () => null, reason: 'not-true', hint: 'null' },
    { name: '1', given: () => 1, reason: 'not-true', hint: 'a value of type number' },
    { name: 'the text true', given: () => 'true', reason: 'not-true', hint: 'a value of type string' },
    { name: 'the text false', given: () => 'false', reason: 'not-true' },
    { name: 'an object', given: () => ({}), reason: 'not-true' },
    { name: 'a list', given: () => [true], reason: 'not-true' },
    { name: 'new Boolean(true)', given: () => Object(true), reason: 'not-true' },
    { name: 'a function', given: () => () => true, reason: 'not-true', hint: 'a value of type function' },
    { name: 'a symbol', given: () => Symbol('timed out'), reason: 'not-true' },
    { name: 'a decision of another library', given: () => ({ decision: 'allow', holds: true }), reason: 'not-true' },
    { name: 'a promise of 1', given: async () => 1, reason: 'not-true' },
    { name: 'a promise of undefined', given: async () => {}, reason: 'not-true' },
    { name: 'a thenable of a truthy text', given: thenable((resolve) => resolve('no')), reason: 'not-true' },
    {
      name: 'an exception',
      given: () => {
        throw new Error('database')
      },
      reason: 'threw',
      hint: 'database',
    },
    {
      name: 'an exception that is no error',
      given: () => {
        throw 'no'
      },
      reason: 'threw',
      hint: 'no',
    },
    {
      name: 'an exception of nothing',
      given: () => {
        throw undefined
      },
      reason: 'threw',
    },
    {
      name: 'an exception of true',
      given: () => {
        throw true
      },
      reason: 'threw',
    },
    { name: 'a rejection', given: () => Promise.reject(new Error('database')), reason: 'threw', hint: 'database' },
    { name: 'a thenable that rejects', given: thenable((_, reject) => reject(new Error('no'))), reason: 'threw' },
    {
      name: 'a thenable that throws',
      given: thenable(() => {
        throw new Error('no')
      }),
      reason: 'threw',
    },
    {
      name: 'a then that cannot be read',
      given: () =>
        Object.defineProperty({}, 'then', {
          get: () => {
            throw new Error('no')
          },
        }),
      reason: 'threw',
    },
    {
      name: 'an exception that cannot be printed',
      given: () => {
        throw Object.create(null)
      },
      reason: 'threw',
    },
  ])('$name refuses: $reason', async ({ given, reason, hint }) => {
    const outcome = await outcomeOf(rule(given))
    expect(outcome).toMatchObject({
      holds: false,
      rule: 'custom("mine")',
      reason,
      ...(hint === undefined ? {} : { hint }),
    })
  })
})

describe('C-05: an answer that does not come', () => {
  test('refuses after the timeout', async () => {
    expect(await outcomeOf(rule(() => new Promise(() => {}), { timeout: 1 }))).toMatchObject({
      holds: false,
      reason: 'timed-out',
    })
    expect(
      await outcomeOf(
        rule(
          thenable(() => {}),
          { timeout: 1 },
        ),
      ),
    ).toMatchObject({ holds: false, reason: 'timed-out' })
  })

  test('or comes too late, as true or as a rejection, changes nothing and is nobody’s unhandled rejection', async () => {
    const unhandled: unknown[] = []
    const listen = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', listen)
    for (const comeLate of [
      (resolve: (answer: boolean) => void) => resolve(true),
      (_: unknown, reject: (reason: Error) => void) => reject(new Error('late')),
    ]) {
      let come = () => {}
      const answer = () =>
        new Promise<boolean>((resolve, reject) => {
          come = () => comeLate(resolve, reject)
        })
      const outcome = outcomeOf(rule(answer, { timeout: 1 }))
      expect(await outcome).toMatchObject({ reason: 'timed-out' })
      come()
      await new Promise((resolve) => setImmediate(resolve))
      expect(await outcome).toMatchObject({ reason: 'timed-out' })
    }
    process.off('unhandledRejection', listen)
    expect(unhandled).toEqual([])
  })

  test('within the timeout counts', async () => {
    const soon = () => new Promise((resolve) => setTimeout(resolve, 5, true))
    expect(await outcomeOf(rule(soon, { timeout: 5_000 }))).toEqual({ rule: 'custom("mine")', holds: true })
  })
})

describe('what a rule sees', () => {
  const request = new IncomingMessage(new Socket())

  test('identity and request; where its answer is remembered, the identity only', async () => {
    const seen: unknown[][] = []
    const see = (...given: unknown[]) => {
      seen.push(given)
      return true
    }
    await custom('a', see).evaluate(nobody, request)
    await custom('b', see, { remember: 'identity' }).evaluate(nobody, request)
    expect(seen).toEqual([
      [nobody, request],
      [nobody, undefined],
    ])
    expect(custom('a', see).isOfIdentity).toBe(false)
    expect(custom('b', see, { remember: 'identity' }).isOfIdentity).toBe(true)
  })
})

describe('construction refuses what cannot be meant', () => {
  test.each<{ name: string; given: unknown[]; says: RegExp }>([
    { name: 'no name', given: [], says: /the name is missing — custom\("office hours", …\)/ },
    { name: 'an empty name', given: ['', () => true], says: /the name is missing/ },
    { name: 'a function first', given: [() => true], says: /the name is missing/ },
    { name: 'no function', given: ['x'], says: /custom\("x"\): expected a function, got undefined/ },
    { name: 'a boolean as function', given: ['x', true], says: /expected a function, got boolean/ },
    {
      name: 'a timeout of zero',
      given: ['x', () => true, { timeout: 0 }],
      says: /timeout is 0, expected 1 to 60,000 milliseconds/,
    },
    {
      name: 'no end of time',
      given: ['x', () => true, { timeout: Number.POSITIVE_INFINITY }],
      says: /timeout is Infinity/,
    },
    { name: 'NaN', given: ['x', () => true, { timeout: Number.NaN }], says: /timeout is NaN/ },
    { name: 'a timeout as text', given: ['x', () => true, { timeout: '5' }], says: /timeout is 5, expected/ },
    { name: 'more than a minute', given: ['x', () => true, { timeout: 60_001 }], says: /timeout is 60001/ },
    {
      name: 'another thing to remember by',
      given: ['x', () => true, { remember: true }],
      says: /remember is true, expected 'identity'/,
    },
    {
      name: 'a misspelt option',
      given: ['x', () => true, { timeOut: 5 }],
      says: /unknown option "timeOut"\. Did you mean "timeout"\?/,
    },
    {
      name: 'an option of another library',
      given: ['x', () => true, { cache: 60 }],
      says: /unknown option "cache"\. Known: remember, timeout/,
    },
  ])('$name', ({ given, says }) => {
    const message = thrownBy(() => (custom as (...given: unknown[]) => Rule)(...given))
    expect(message).toMatch(/^ClientCertConfigError: custom/)
    expect(message).toMatch(says)
  })
})

test('what a broken rule says reaches the operator in one line, bounded and printable, and the client not at all', async () => {
  const hostile = `no user\nmtls-identity ERR_FAKE: \u202efake\u001b[2J ${'x'.repeat(100_000)}`
  const throwing = rule(() => {
    throw new Error(hostile)
  })
  const error = refusalBy((await outcomeOf(throwing)) as FailedOutcome)
  expect(error).toBeInstanceOf(ClientCertError)
  const { help, message } = error
  expect(help).toMatch(/^custom\("mine"\) threw, which refuses — mend the rule: no user/)
  expect(help).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  expect(help.length).toBeLessThanOrEqual(1_500)
  expect(message).toBe('client certificate refused')
})
