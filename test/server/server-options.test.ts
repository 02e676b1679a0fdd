import { constants } from 'node:crypto'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { type Authenticator, ClientCertConfigError, createAuthenticator, tlsServerOptions } from '../../src/index.js'
import { createTestPki } from '../../src/testing.js'

let auth: Authenticator
beforeAll(async () => {
  auth = createAuthenticator({ trust: (await createTestPki()).trust, revocation: 'none', log: false })
})

const own = { key: 'key', cert: 'cert' }

test('sets what lets only this package decide, and keeps the rest', () => {
  const given = { ...own, ALPNProtocols: ['h2'], secureOptions: constants.SSL_OP_NO_TICKET, sessionTimeout: 60 }
  expect(tlsServerOptions(auth, given)).toEqual({
    ...given,
    requestCert: true,
    rejectUnauthorized: false,
    ca: [],
    minVersion: 'TLSv1.2',
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
    sessionIdContext: expect.stringMatching(/^[0-9a-f]{32}$/),
  })
  expect(given).not.toHaveProperty('ca')
})

test('PEM in one line, and octets, are no paths', () => {
  for (const key of ['-----BEGIN PRIVATE KEY----- a/b.c', Buffer.from('./server.key')]) {
    expect(tlsServerOptions(auth, { ...own, key }).key).toBe(key)
  }
})

test('keeps TLS 1.3 where that is asked for', () => {
  expect(tlsServerOptions(auth, { ...own, minVersion: 'TLSv1.3' }).minVersion).toBe('TLSv1.3')
})

describe('contradictions are refused', () => {
  const cases: [given: object | undefined, said: string][] = [
    [undefined, 'expected { key, cert }'],
    [{}, 'key and cert of the server are missing'],
    [{ key: 'key' }, 'key and cert of the server are missing'],
    [{ ...own, key: './server.key' }, 'key is the path "./server.key"'],
    [{ ...own, cert: 'server.crt' }, 'cert: readFileSync("server.crt")'],
    [{ ...own, requestCert: false }, 'requestCert: false asks no client'],
    [{ ...own, rejectUnauthorized: true }, 'rejectUnauthorized: true makes Node refuse'],
    [{ ...own, ca: 'pem' }, 'ca: client certificates are decided about by trust'],
    [{ ...own, ca: ['pem'] }, 'ca: client certificates are decided about by trust'],
    [{ ...own, ca: '' }, 'ca: client certificates are decided about by trust'],
    [{ ...own, crl: 'pem' }, 'crl: revocation is decided about'],
    [{ ...own, minVersion: 'TLSv1' }, 'minVersion: TLSv1 is broken'],
    [{ ...own, pskCallback: () => null }, 'pskCallback: who comes by a pre-shared key brings no certificate'],
    [{ ...own, advertise: 'yes' }, 'advertise is true or false'],
    [{ ...own, ticketKeys: Buffer.alloc(48) }, 'ticketKeys: sessions that other servers resume carry no intermediates'],
    [{ ...own, ticketKeys: Buffer.alloc(47) }, 'ticketKeys: expected 48 octets'],
    [{ ...own, minVersion: 'TLSv1.1' }, 'minVersion: TLSv1.1 is broken'],
  ]
  for (const [given, said] of cases) {
    test(`${JSON.stringify(given)}: ${said}`, () => {
      expect(() => tlsServerOptions(auth, given as never)).toThrow(said)
      expect(() => tlsServerOptions(auth, given as never)).toThrow(ClientCertConfigError)
    })
  }

  test('the authenticator comes first', () => {
    for (const first of [own, undefined, null, 'auth']) {
      expect(() => tlsServerOptions(first as never, own)).toThrow('the first argument is the authenticator')
    }
  })
})
