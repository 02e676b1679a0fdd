/** RFC 8705 with the real oidc-provider, jose and express-oauth2-jwt-bearer, over TLS on loopback. */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import express from 'express'
import { auth } from 'express-oauth2-jwt-bearer'
import { createRemoteJWKSet, customFetch, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import Koa from 'koa'
import type { ClientMetadata } from 'oidc-provider'
import * as forExpress from '../../src/express.js'
import { type Authenticator, createAuthenticator } from '../../src/index.js'
import * as forKoa from '../../src/koa.js'
import {
  confirmationFailure,
  getCertificate,
  oidcMtls,
  requireBoundToken,
  requireBoundTokenKoa,
  tlsClientAuthMatches,
} from '../../src/oauth.js'
import {
  createTestAuthority,
  createTestPki,
  type TestAuthority,
  type TestCredential,
  type TestPki,
} from '../../src/testing.js'
import { type Answer, get, json } from '../support/clients.js'
import { audience, confirmationOf, type Issuer, registered, startIssuer } from '../support/oidc.js'
import { identityOf, noon } from '../support/pki.js'
import { type Listener, serveHttps } from '../support/servers.js'

const names = {
  dns: ['client7.acme.test'],
  uri: ['urn:acme:client:7'],
  ip: ['192.0.2.7', '2001:db8::7'],
  email: ['client7@acme.test'],
}

let pki: TestPki
let partner: TestAuthority
let alice: TestCredential
let bob: TestCredential
let impostor: TestCredential
let authenticator: Authenticator
let issuer: Issuer
let port: number
let tokenFor: Issuer['tokenFor']

beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  partner = await createTestAuthority({ subject: 'CN=Partner CA' })
  alice = await pki.issue({ subject: 'CN=client 7,OU=Billing,O=Acme\\, Inc.', names })
  bob = await pki.issue({ subject: 'CN=client 8,O=Acme' })
  impostor = await partner.issue({ subject: 'CN=client 7,OU=Billing,O=Acme\\, Inc.', names })
  authenticator = createAuthenticator({
    trust: { ours: pki.trust, partners: partner.certificate.pem },
    revocation: 'none',
    log: false,
  })

  const client = (id: string, more: Partial<ClientMetadata>) => registered(id, 'tls_client_auth', more)
  issuer = await startIssuer(
    authenticator,
    'tls_client_auth',
    [
      client('by-dn', { tls_client_auth_subject_dn: 'cn=CLIENT 7, ou=Billing, o=Acme\\, Inc.' }),
      client('by-dns', { tls_client_auth_san_dns: 'Client7.acme.test' }),
      client('by-uri', { tls_client_auth_san_uri: 'urn:acme:client:7' }),
      client('by-ip', { tls_client_auth_san_ip: '2001:db8:0::7' }),
      client('by-email', { tls_client_auth_san_email: 'client7@ACME.test' }),
      client('of-partner', { tls_client_auth_subject_dn: 'CN=client 7,OU=Billing,O=Acme\\, Inc.' }),
    ],
    oidcMtls({ anchorOf: (clientId) => (clientId === 'of-partner' ? 'partners' : 'ours') }),
  )
  port = issuer.port
  tokenFor = issuer.tokenFor
})

afterAll(() => issuer.close())

describe('oidc-provider: clients authenticate with certificates (tls_client_auth)', () => {
  test.each(['by-dn', 'by-dns', 'by-uri', 'by-ip', 'by-email'])(
    '%s: the client that was registered, and nobody else',
    async (client) => {
      const own = await tokenFor(client, alice)
      expect([own.status, own.body.token_type]).toEqual([200, 'Bearer'])
      for (const other of [bob, undefined]) {
        const { status, body } = await tokenFor(client, other)
        expect([status, body.error]).toEqual([401, 'invalid_client'])
      }
    },
  )

  test('I-02: a client of another CA with the same names is refused, and accepted where that CA speaks for it', async () => {
    for (const client of ['by-dn', 'by-dns', 'by-uri', 'by-ip', 'by-email']) {
      expect((await tokenFor(client, impostor)).body.error).toBe('invalid_client')
    }
    expect((await tokenFor('of-partner', impostor)).status).toBe(200)
    expect((await tokenFor('of-partner', alice)).body.error).toBe('invalid_client')
  })

  test('C-06: a certificate of a stranger is refused before the provider sees it', async () => {
    const stranger = await (await createTestPki({ name: 'Other' })).issue({ subject: 'CN=client 7', names })
    expect((await tokenFor('by-dns', stranger)).status).toBe(403)
  })

  test('tokens are bound to the certificate they were asked for with', async () => {
    const { body } = await tokenFor('by-dn', alice)
    expect(confirmationOf(body.access_token)).toEqual({
      'x5t#S256': Buffer.from(alice.fingerprint, 'hex').toString('base64url'),
    })
  })
})

/** The key set of the issuer, over TLS that nobody verifies here. */
const keys = () =>
  createRemoteJWKSet(new URL(`https://localhost:${port}/jwks`), {
    [customFetch]: async (url: string) => {
      const { body } = await get(Number(new URL(url).port), undefined, { path: new URL(url).pathname })
      return new Response(body, { headers: { 'content-type': 'application/json' } })
    },
  } as never)

/** What every resource server below is asked. */
type Ask = (credential: TestCredential | undefined, token?: string) => Promise<Answer>
const asking =
  (to: number): Ask =>
  (credential, token) =>
    get(to, credential, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } })

const servers: [string, () => Promise<Ask>][] = [
  [
    'Express with jose and requireBoundToken()',
    async () => {
      const app = express()
      const keySet = keys()
      app.use(forExpress.clientCert({ authenticator, mode: 'optional' }))
      app.use(
        async (
          request: express.Request & { auth?: unknown },
          _response: express.Response,
          next: express.NextFunction,
        ) => {
          const token = request.headers.authorization?.slice('Bearer '.length)
          if (token !== undefined)
            request.auth = (await jwtVerify(token, keySet, { issuer: `https://localhost:${port}`, audience })) as never
          next()
        },
      )
      app.use(requireBoundToken() as express.RequestHandler)
      app.get('/', (_request, response) => void response.json({ ok: true }))
      return asking(await serveHttps(authenticator, app as unknown as Listener))
    },
  ],
  [
    'Koa with jose and requireBoundTokenKoa()',
    async () => {
      const app = new Koa()
      app.silent = true
      const keySet = keys()
      app.use(forKoa.clientCert({ authenticator, mode: 'optional' }))
      app.use(async (context, next) => {
        const token = context.get('authorization').slice('Bearer '.length)
        if (token !== '') context.state.user = (await jwtVerify(token, keySet, { audience })).payload
        await next()
      })
      app.use(requireBoundTokenKoa())
      app.use((context) => {
        context.body = { ok: true }
      })
      return asking(await serveHttps(authenticator, app.callback() as Listener))
    },
  ],
  [
    'express-oauth2-jwt-bearer with getCertificate',
    async () => {
      const app = express()
      const { body } = await get(port, undefined, { path: '/jwks' })
      app.use(forExpress.clientCert({ authenticator, mode: 'optional' }))
      app.use(
        auth({
          issuer: `https://localhost:${port}`,
          audience,
          publicKey: JSON.parse(body),
          tokenSigningAlg: 'ES256',
          getCertificate,
          mtls: { required: true },
        } as never) as express.RequestHandler,
      )
      app.get('/', (_request, response) => void response.json({ ok: true }))
      app.use(((error, _request, response, _next) => {
        response
          .status(error.status ?? 500)
          .set(error.headers ?? {})
          .json({ code: error.code })
      }) as express.ErrorRequestHandler)
      return asking(await serveHttps(authenticator, app as unknown as Listener))
    },
  ],
]

describe.each(servers)('a resource server: %s', (name, serve) => {
  test('a token goes with its own client only', async () => {
    const ask = await serve()
    const token = (await tokenFor('by-dn', alice)).body.access_token as string
    const own = await ask(alice, token)
    expect([own.status, json(own)]).toEqual([200, { ok: true }])
    for (const thief of [bob, impostor]) {
      const { status, headers } = await ask(thief, token)
      expect([name, status, headers['www-authenticate']]).toEqual([name, 401, expect.stringContaining('invalid_token')])
    }
    // RFC 8705 §3 asks for invalid_token here too; express-oauth2-jwt-bearer calls a missing certificate an invalid request.
    const none = await ask(undefined, token)
    expect(none.status).toBe(name.startsWith('express-oauth2') ? 400 : 401)
    expect((await ask(alice)).status).toBe(401)
  })
})

describe('requireBoundToken', () => {
  const serve = async (payload: unknown, options = {}, mount: object | undefined = { mode: 'optional' }) => {
    const app = express()
    if (mount !== undefined) app.use(forExpress.clientCert({ authenticator, ...mount }))
    app.use((request: express.Request & { auth?: unknown }, _response, next) => {
      request.auth = payload as never
      next()
    })
    app.use(requireBoundToken(options) as express.RequestHandler)
    const handler = jest.fn((_request: unknown, response: express.Response) => void response.json({}))
    app.get('/', handler as never)
    const to = await serveHttps(authenticator, app as unknown as Listener)
    return { ask: (credential?: TestCredential) => get(to, credential), handler }
  }
  const thumbprint = () => Buffer.from(alice.fingerprint, 'hex').toString('base64url')

  test('answers 401 with the challenge of RFC 6750, and says nothing of token or certificate', async () => {
    const { ask, handler } = await serve({ cnf: { 'x5t#S256': thumbprint() } })
    const answer = await ask(bob)
    expect([
      answer.status,
      answer.headers['www-authenticate'],
      answer.headers['cache-control'],
      answer.headers['content-type'],
    ]).toEqual([
      401,
      'Bearer error="invalid_token", error_description="the token is bound to another client certificate"',
      'no-store',
      'application/problem+json',
    ])
    expect(JSON.parse(answer.body)).toEqual({
      type: 'urn:problem-type:invalid-token',
      title: 'the token is bound to another client certificate',
      status: 401,
    })
    expect(handler).not.toHaveBeenCalled()
    expect((await ask(alice)).status).toBe(200)
  })

  test('without claims the challenge has no error code; required: false lets them pass', async () => {
    const { ask } = await serve(undefined)
    const answer = await ask(alice)
    expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, 'Bearer'])
    expect((await (await serve(undefined, { required: false })).ask(alice)).status).toBe(200)
  })

  test('required: false lets an unbound token pass, and still refuses one that is another’s', async () => {
    const lax = { required: false }
    expect((await (await serve({ sub: 'x' }, lax)).ask()).status).toBe(200)
    expect((await (await serve({ cnf: { jkt: 'x' } }, lax)).ask()).status).toBe(200)
    expect((await (await serve({ cnf: { 'x5t#S256': thumbprint() } }, lax)).ask()).status).toBe(401)
    expect((await (await serve({ cnf: { 'x5t#S256': thumbprint() } }, lax)).ask(bob)).status).toBe(401)
  })

  test('without the middleware before it, it is a 500 that admits nobody', async () => {
    const { ask, handler } = await serve({ cnf: { 'x5t#S256': thumbprint() } }, {}, undefined as never)
    const bare = express()
    bare.use(requireBoundToken() as express.RequestHandler)
    expect((await get(await serveHttps(authenticator, bare as unknown as Listener), alice)).status).toBe(500)
    expect(handler).not.toHaveBeenCalled()
    expect(ask).toBeDefined()
  })

  test('reads the claims where it is told to; a function that throws refuses', async () => {
    const claims = () => ({ cnf: { 'x5t#S256': thumbprint() } })
    expect((await (await serve(undefined, { claims })).ask(alice)).status).toBe(200)
    const throwing = () => {
      throw new Error('x')
    }
    const { ask, handler } = await serve(undefined, { claims: throwing })
    expect((await ask(alice)).status).toBe(500)
    expect(handler).not.toHaveBeenCalled()
  })

  test('tells who wants to know of every refusal and of nothing else; a listener that throws changes nothing', async () => {
    const heard: unknown[] = []
    const onRefused = (failure: string, { url }: { url: string }) => {
      heard.push(`${failure} ${url}`)
      throw new Error('no disk')
    }
    const bound = await serve({ cnf: { 'x5t#S256': thumbprint() } }, { onRefused })
    expect([(await bound.ask(alice)).status, heard]).toEqual([200, []])
    expect([(await bound.ask(bob)).status, (await bound.ask()).status]).toEqual([401, 401])
    expect((await (await serve(undefined, { onRefused })).ask(alice)).status).toBe(401)
    expect(heard).toEqual(['another-certificate /', 'no-certificate /', 'no-token /'])
    expect(bound.handler).toHaveBeenCalledTimes(1)
  })

  const mistakes = [{ claim: () => 1 }, { claims: undefined }, { claims: 'auth' }, { required: 1 }, { onRefused: true }]
  test.each(mistakes)('%j is refused at construction', (given) => {
    for (const make of [requireBoundToken, requireBoundTokenKoa])
      expect(() => make(given as never)).toThrow(/requireBoundToken/)
  })
})

describe('confirmationFailure', () => {
  test.each<[string, unknown, string | undefined, string | undefined]>([
    ['no claims', undefined, 'not-bound', undefined],
    ['no cnf', { sub: 'x' }, 'not-bound', undefined],
    ['cnf of another kind', { cnf: { jkt: 'x' } }, 'not-bound', undefined],
    ['cnf that is null', { cnf: null }, 'malformed', 'malformed'],
    ['cnf that is a list', { cnf: ['x5t#S256'] }, 'malformed', 'malformed'],
    ['I-11: an inherited thumbprint', { cnf: Object.create({ 'x5t#S256': 'A'.repeat(43) }) }, 'not-bound', undefined],
    ['a thumbprint that is no text', { cnf: { 'x5t#S256': 1 } }, 'malformed', 'malformed'],
    ['an empty thumbprint', { cnf: { 'x5t#S256': '' } }, 'malformed', 'malformed'],
    ['a padded thumbprint', { cnf: { 'x5t#S256': `${'A'.repeat(43)}=` } }, 'malformed', 'malformed'],
    ['a hexadecimal thumbprint', { cnf: { 'x5t#S256': 'ab'.repeat(32) } }, 'malformed', 'malformed'],
    ['another thumbprint', { cnf: { 'x5t#S256': 'A'.repeat(43) } }, 'another-certificate', 'another-certificate'],
  ])('%s', async (_, claims, required, lax) => {
    const local = await createTestPki({ now: noon })
    const identity = await identityOf(await local.issue(), { trust: local.trust })
    expect([confirmationFailure(claims, identity), confirmationFailure(claims, identity, false)]).toEqual([
      required,
      lax,
    ])
    const own = { cnf: { 'x5t#S256': identity.x5tS256 } }
    expect([confirmationFailure(own, identity), confirmationFailure(own, undefined)]).toEqual([
      undefined,
      'no-certificate',
    ])
    expect(confirmationFailure(own, undefined, false)).toBe('no-certificate')
  })
})

describe('RFC 8705 §2.1.2: tls_client_auth_* are compared by their types', () => {
  test.each<[property: string, expected: string, matches: boolean]>([
    ['tls_client_auth_subject_dn', 'CN=client 7,OU=Billing,O=Acme\\, Inc.', true],
    ['tls_client_auth_subject_dn', 'cn=Client  7 , OU=billing, O="Acme, Inc."', true],
    ['tls_client_auth_subject_dn', 'O=Acme\\, Inc.,OU=Billing,CN=client 7', false],
    ['tls_client_auth_subject_dn', 'CN=client 7', false],
    ['tls_client_auth_subject_dn', 'CN=client 7,OU=Billing,O=Acme, Inc.', false],
    ['tls_client_auth_subject_dn', '', false],
    ['tls_client_auth_subject_dn', 'no name', false],
    ['tls_client_auth_san_dns', 'CLIENT7.acme.test', true],
    ['tls_client_auth_san_dns', '*.acme.test', false],
    ['tls_client_auth_san_dns', 'acme.test', false],
    ['tls_client_auth_san_uri', 'URN:acme:client:7', true],
    ['tls_client_auth_san_uri', 'urn:acme:client:70', false],
    ['tls_client_auth_san_ip', '192.0.2.7', true],
    ['tls_client_auth_san_ip', '2001:DB8:0:0:0:0:0:7', true],
    ['tls_client_auth_san_ip', '192.0.2.0/24', false],
    ['tls_client_auth_san_ip', '::ffff:192.0.2.7', false],
    ['tls_client_auth_san_email', 'client7@Acme.Test', true],
    ['tls_client_auth_san_email', 'Client7@acme.test', false],
    ['tls_client_auth_san_other', 'client7.acme.test', false],
    ['toString', 'x', false],
    ['__proto__', 'x', false],
  ])('%s %j: %s', async (property, expected, matches) => {
    const local = await createTestPki({ now: noon })
    const identity = await identityOf(await local.issue({ subject: 'CN=client 7,OU=Billing,O=Acme\\, Inc.', names }), {
      trust: local.trust,
    })
    expect(tlsClientAuthMatches(identity, property, expected)).toBe(matches)
    expect(tlsClientAuthMatches(identity, property, expected)).toBe(matches)
    expect(tlsClientAuthMatches(identity, property, undefined as never)).toBe(false)
  })
})

describe('oidcMtls', () => {
  test('refuses what it does not know at construction', () => {
    expect(() => oidcMtls({ anchorFor: () => 'x' } as never)).toThrow(/Did you mean "anchorOf"\?/)
    expect(() => oidcMtls({ anchorOf: undefined } as never)).toThrow(/anchorOf is a function/)
  })

  test('a request nobody decided about has no certificate', () => {
    const context = { req: { socket: {} } } as never
    const { getCertificate: certificateOf, certificateAuthorized, certificateSubjectMatches } = oidcMtls()
    expect([
      certificateOf(context),
      certificateAuthorized(context),
      certificateSubjectMatches(context, 'tls_client_auth_san_dns', 'a.test'),
    ]).toEqual([undefined, false, false])
    expect(getCertificate({ socket: {} } as never)).toBeUndefined()
  })
})

test('a token another issuer signed is none, whoever presents it', async () => {
  const { privateKey } = await generateKeyPair('ES256')
  const forged = await new SignJWT({ cnf: { 'x5t#S256': Buffer.from(alice.fingerprint, 'hex').toString('base64url') } })
    .setProtectedHeader({ alg: 'ES256', kid: 'k' })
    .setIssuer(`https://localhost:${port}`)
    .setAudience(audience)
    .setExpirationTime('1h')
    .sign(privateKey)
  for (const [, serve] of servers) {
    const ask = await serve()
    expect((await ask(alice, forged)).status).toBeGreaterThanOrEqual(400)
  }
})
