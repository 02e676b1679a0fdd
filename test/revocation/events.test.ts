import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { allowUnknown } from '../../src/revocation/allow-unknown.js'
import { crl } from '../../src/revocation/crl-checker.js'
import { denyList } from '../../src/revocation/deny-list.js'
import { publish } from '../../src/revocation/events.js'
import { createTestPki } from '../../src/testing.js'
import { warn } from '../../src/warn.js'
import { checker, pathOf, questionAbout } from '../support/checkers.js'
import { responderUrl, scene } from '../support/ocsp-scene.js'
import { fromNoon, hour, noon, temporaryFolder } from '../support/pki.js'
import { closing } from '../support/revocation.js'

const at = temporaryFolder()
const name = 'mtls-identity:revocation'
let heard: unknown[] = []
const listen = (event: unknown) => {
  heard.push(event)
}
beforeEach(() => {
  heard = []
  subscribe(name, listen)
  jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'], now: noon })
})
afterEach(() => {
  unsubscribe(name, listen)
  jest.useRealTimers()
  jest.restoreAllMocks()
})

describe(`diagnostics_channel ${name}`, () => {
  test('CRLs that were read, with what they are; that could not be; that have ended', async () => {
    const pki = await createTestPki({ now: noon })
    const client = await pki.issue()
    const times = { thisUpdate: fromNoon(-hour), nextUpdate: fromNoon(hour) }
    const issuing = await pki.crl({ ...times, revoked: [{ serialNumber: client }], number: 5 })
    const delta = await pki.crl({ ...times, number: 6, baseNumber: 5, nextUpdate: fromNoon(2 * hour) })
    const path = at('a.crl')
    writeFileSync(path, issuing.pem + delta.pem)
    closing(crl({ files: path }))
    const issuer = 'CN=Test Intermediate CA'
    expect(heard).toEqual([
      {
        type: 'crl-loaded',
        where: path,
        crls: [
          { issuer, ...times, entries: 1, isDelta: false },
          { issuer, ...times, nextUpdate: fromNoon(2 * hour), entries: 0, isDelta: true },
        ],
      },
    ])
    writeFileSync(path, 'garbage')
    jest.advanceTimersByTime(2_000)
    expect(heard.slice(1)).toEqual([{ type: 'crl-failed', where: path, error: expect.any(Error) }])
    jest.advanceTimersByTime(hour)
    expect(heard.slice(2)).toEqual([{ type: 'crl-ended', where: path, issuer, nextUpdate: fromNoon(hour) }])
  })

  test('deny lists that were read, and could not be; certificates that soft-fail let pass', async () => {
    const pki = await createTestPki({ now: noon })
    const path = at('denied.txt')
    writeFileSync(path, `${'AB'.repeat(32)}\n0A CN=x,O=y\n`)
    closing(denyList({ file: path }))
    writeFileSync(path, 'x')
    jest.advanceTimersByTime(2_000)
    const client = await pki.issue()
    const lenient = allowUnknown(checker('unknown'), { because: 'a test' })
    await lenient.statusOf(questionAbout(pathOf(client, [pki.root.certificate])))
    expect(heard).toEqual([
      { type: 'deny-list-loaded', where: path, entries: 2 },
      { type: 'deny-list-failed', where: path, error: expect.any(Error) },
      { type: 'unknown-allowed', reason: 'mine does not know', fingerprint: client.fingerprint, count: 1 },
    ])
  })

  test('OCSP: that no responder had a usable answer is said once while that is remembered, and again afterwards; nothing of good answers', async () => {
    const it = scene()
    it.reply = it.says()
    expect((await it.ask()).status).toBe('good')
    const failing = scene()
    failing.reply = new Uint8Array([0x30, 0])
    for (let i = 0; i < 3; i++) expect((await failing.ask()).status).toBe('unknown')
    const event = { type: 'ocsp-failed', issuer: 'CN=CA', reason: expect.stringContaining(responderUrl) }
    expect(heard).toEqual([event])
    failing.time += 6_000
    await failing.ask()
    expect(heard).toEqual([event, event])
    failing.checker.close()
    failing.time += 6_000
    await failing.ask()
    expect(heard).toHaveLength(2)
  })

  test('O-01: names and addresses that a peer may have written stay in their line; facts are frozen', () => {
    const hostile = 'CN=x\r\nforged: yes\u001b[2J\u202e\u2028%s'
    const summary = { issuer: hostile, thisUpdate: noon, nextUpdate: undefined, entries: 0, isDelta: false }
    const error = new Error('x')
    publish({ type: 'crl-failed', where: hostile, error })
    publish({ type: 'crl-loaded', where: 'x', crls: [summary] })
    publish({ type: 'ocsp-failed', issuer: hostile, reason: hostile })
    const escaped = String.raw`CN=x\u000d\u000aforged: yes\u001b[2J\u202e\u2028%s`
    expect(heard).toEqual([
      { type: 'crl-failed', where: escaped, error },
      { type: 'crl-loaded', where: 'x', crls: [{ ...summary, issuer: escaped }] },
      { type: 'ocsp-failed', issuer: escaped, reason: escaped },
    ])
    expect(heard.every((event) => Object.isFrozen(event))).toBe(true)
    expect(summary.issuer).toBe(hostile)
  })

  test('nobody who listens is told of nothing when nobody listens, and what is published then is not kept', () => {
    unsubscribe(name, listen)
    publish({ type: 'deny-list-loaded', where: 'x', entries: 0 })
    subscribe(name, listen)
    expect(heard).toEqual([])
    publish({ type: 'deny-list-loaded', where: 'y', entries: 1 })
    expect(heard).toEqual([{ type: 'deny-list-loaded', where: 'y', entries: 1 }])
  })

  test('a warning has a type and a code by which it can be silenced', () => {
    warn('MTLS_CRL_FAILED', 'a sentence')
    expect(process.emitWarning).toHaveBeenCalledWith('a sentence', {
      type: 'MtlsIdentityWarning',
      code: 'MTLS_CRL_FAILED',
    })
  })
})
