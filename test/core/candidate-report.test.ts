/** What is kept of differences: in bounded memory, and counted whole. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { beforeAll, expect, test } from '@jest/globals'
import { DifferenceTally, type RefusedDecision } from '../../src/core/candidate-report.js'
import { deny } from '../../src/errors.js'
import type { ClientIdentity } from '../../src/identity/identity.js'
import { limits } from '../../src/limits.js'
import { createTestPki } from '../../src/testing.js'
import { identityOf, noon } from '../support/pki.js'

const at = noon.getTime()
const error = deny('ERR_CLIENT_CERT_NOT_READY', { reason: 'a test' })
const refused: RefusedDecision = { decidedAt: noon, enforced: true, outcome: 'refused', error }

let real: ClientIdentity
beforeAll(async () => {
  const pki = await createTestPki({ now: noon })
  real = await identityOf(await pki.issue(), { trust: pki.trust })
})

/** As many identities as a test wants, for the price of one. */
const numbered = (n: number): ClientIdentity => ({
  ...real,
  fingerprint: n.toString(16).padStart(64, '0'),
  anchor: real.anchor,
})

test(`${limits.candidateDifferences} identities are remembered, and the one that was seen longest ago is forgotten`, () => {
  const tally = new DifferenceTally(at, false)
  const see = (n: number) => tally.count(tally.find('would-refuse', refused, numbered(n), at), at)
  for (let n = 0; n < limits.candidateDifferences; n++) see(n)
  expect(tally.report(undefined)).toMatchObject({
    decided: limits.candidateDifferences,
    forgotten: 0,
    identities: { length: limits.candidateDifferences },
  })
  see(0)
  see(limits.candidateDifferences)
  const { identities, forgotten, differences, decided } = tally.report(undefined)
  expect([identities.length, forgotten]).toEqual([limits.candidateDifferences, 1])
  const listed = new Set(identities.map(({ fingerprint }) => fingerprint))
  const isListed = (n: number) => listed.has(numbered(n).fingerprint)
  expect([isListed(0), isListed(1), isListed(limits.candidateDifferences)]).toEqual([true, false, true])
  // Whoever was forgotten still counts.
  expect(decided).toBe(limits.candidateDifferences + 2)
  expect(differences['would-refuse']).toEqual({ ERR_CLIENT_CERT_NOT_READY: limits.candidateDifferences + 2 })
})

test('one identity has a place for each kind and code', () => {
  const tally = new DifferenceTally(at, false)
  const absent = deny('ERR_CLIENT_CERT_REVOKED', { subject: 'CN=a' }, { depth: 0 })
  const first = tally.find('would-refuse', refused, real, at)
  expect(tally.find('would-refuse', refused, real, at + 1)).toBe(first)
  expect(tally.find('would-admit', refused, real, at)).not.toBe(first)
  expect(tally.find('would-refuse', { ...refused, error: absent }, real, at)).not.toBe(first)
  expect(tally.report(undefined).identities).toHaveLength(3)
})

test('what a rule or a trust set is called cannot break out of a line', () => {
  const heard: unknown[] = []
  const hear = (event: unknown) => heard.push(event)
  subscribe('mtls-identity:candidate', hear)
  try {
    const rules = { rule: 'custom("a\r\nb\u2028")', holds: false as const, reason: 'did-not-hold' as const }
    const identity = {
      ...numbered(1),
      anchor: { ...real.anchor, name: 'x\u001b[2J\n' },
      subject: real.subject,
      issuer: real.issuer,
    }
    new DifferenceTally(at, true).find('would-refuse', { ...refused, rules }, identity, at)
  } finally {
    unsubscribe('mtls-identity:candidate', hear)
  }
  expect(heard).toHaveLength(1)
  for (const value of Object.values(heard[0] as object)) expect(String(value)).not.toMatch(/[\u0000-\u001f\u2028]/)
})

test('a clock that gives no time leaves none', () => {
  const tally = new DifferenceTally(Number.NaN, false)
  expect(tally.report('a reason')).toMatchObject({ since: 'unknown', notReady: 'a reason', decided: 0 })
})
