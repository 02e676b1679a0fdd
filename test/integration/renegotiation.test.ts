/** S-08: a TLS 1.2 client that changes its certificate on a live connection. Node's own client cannot; pyOpenSSL can. */
import { join } from 'node:path'
import { beforeAll, describe, expect } from '@jest/globals'
import { createAuthenticator, type Decision } from '../../src/index.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { filesOf, json, keepAlive, requireTool, run } from '../support/clients.js'
import { frameworks, type Listener, type Seen, serveHttps, serveOwnHttps } from '../support/servers.js'

const python = '/usr/bin/python3'
const test = requireTool(python, '-c', 'import OpenSSL')
const script = join(import.meta.dirname, '../support/renegotiating_client.py')

let pki: TestPki
let alice: TestCredential
let root: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue({ subject: 'CN=alice' })
  root = await pki.issue({ subject: 'CN=root', keyAlgorithm: 'RSA-2048' })
})

interface Ending {
  answers: { status: number; body: string }[]
  renegotiated: boolean
  error: string | null
}

type When = 'between' | 'at-once' | 'in-flight' | 'half'

async function renegotiate(port: number, first: TestCredential | undefined, second: TestCredential, when: When) {
  const from = first === undefined ? { cert: '-', key: '-' } : filesOf(first)
  const to = filesOf(second)
  const { stdout, stderr } = await run(python, [script, String(port), from.cert, from.key, to.cert, to.key, when])
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout) as Ending
}

/** Who was served, in order; and every decision. */
function application({ mode = 'required' }: { mode?: 'required' | 'optional' } = {}) {
  const served: (string | null)[] = []
  const decisions: string[] = []
  const auth = createAuthenticator({
    trust: pki.trust,
    intermediates: pki.intermediate.certificate.pem,
    revocation: 'none',
    log: false,
    onDecision: (decision: Decision) => {
      decisions.push(
        decision.outcome === 'accepted' ? (decision.identity.subject.get('CN') ?? '') : decision.error.code,
      )
    },
  })
  const handler = async ({ request, property }: Seen) => {
    if (request.url === '/slow') await new Promise((resolve) => setTimeout(resolve, 600))
    const cn = property?.subject.get('CN') ?? null
    served.push(cn)
    return { cn }
  }
  const listener = (frameworks[0] as (typeof frameworks)[0]).listener({
    mounts: [{ authenticator: auth, mode }],
    handler,
  })
  return { auth, listener, served, decisions }
}

/** Options an application may well have without having heard of this package; OpenSSL then authorises both clients. */
const plainHttps = (listener: Listener, requestCert = true) =>
  serveOwnHttps(listener, {
    requestCert,
    rejectUnauthorized: false,
    ca: [pki.trust, pki.intermediate.certificate.pem],
  })

describe('a server made with tlsServerOptions', () => {
  for (const when of ['between', 'at-once', 'in-flight', 'half'] as const) {
    test(`refuses to renegotiate ${when}, and serves the one who connected only`, async () => {
      const { auth, listener, served } = application()
      const seen = await renegotiate(await serveHttps(auth, listener), alice, root, when)
      expect(seen.renegotiated).toBe(false)
      expect(served).not.toContain('root')
    })
  }

  test('serves the same client without renegotiation twice: the twin of the tests above', async () => {
    const { auth, listener } = application()
    const port = await serveHttps(auth, listener)
    const ask = keepAlive(port, alice, { maxVersion: 'TLSv1.2' })
    const answers = [await ask({ path: '/first' }), await ask({ path: '/second' })]
    expect(answers.map(json)).toEqual([{ cn: 'alice' }, { cn: 'alice' }])
    expect(answers[1]?.connection).toBe(answers[0]?.connection)
  })
})

describe('an application’s own https server', () => {
  test('the connection is cut when the client renegotiates after it was identified, and neither identity is served', async () => {
    const { listener, served, decisions } = application()
    const seen = await renegotiate(await plainHttps(listener), alice, root, 'between')
    expect(seen.answers).toEqual([{ status: 200, body: '{"cn":"alice"}' }])
    expect(seen.error).not.toBeNull()
    expect(served).toEqual(['alice'])
    expect(decisions.filter((decision) => decision !== 'alice' && decision !== 'ERR_CLIENT_CERT_RENEGOTIATED')).toEqual(
      [],
    )
  })

  test('a request that is being answered when the client renegotiates is its last', async () => {
    const { listener, served } = application()
    const seen = await renegotiate(await plainHttps(listener), alice, root, 'in-flight')
    expect(seen.answers).toEqual([])
    expect(served.filter((cn) => cn !== 'alice')).toEqual([])
    expect(served.length).toBeLessThan(2)
  })

  test('a client that renegotiates before it asks for anything is who it is afterwards, never who it was', async () => {
    for (const when of ['at-once', 'half'] as const) {
      const { listener, served } = application()
      const seen = await renegotiate(await plainHttps(listener), alice, root, when)
      expect(seen.renegotiated).toBe(true)
      expect(new Set(seen.answers.map(({ body }) => body))).toEqual(new Set(['{"cn":"root"}']))
      expect(served).not.toContain('alice')
    }
  })

  test('a stranger’s certificate that becomes a trusted one is not remembered as the other’s verdict, either way round', async () => {
    const stranger = await (await createTestPki({ name: 'Other' })).issue({ subject: 'CN=stranger' })
    for (const [first, second] of [
      [stranger, root],
      [alice, stranger],
    ] as const) {
      const { listener, served } = application()
      const seen = await renegotiate(await plainHttps(listener), first, second, 'between')
      expect(seen.answers.map(({ status }) => status)).toEqual([first === alice ? 200 : 403])
      expect(served).toEqual(first === alice ? ['alice'] : [])
    }
  })

  test('a client that was let in without a certificate is either cut or who it proved to be', async () => {
    const { listener, served } = application({ mode: 'optional' })
    const seen = await renegotiate(await plainHttps(listener), undefined, root, 'between')
    expect(seen.answers[0]).toEqual({ status: 200, body: '{"cn":null}' })
    expect(served.slice(1).every((cn) => cn === 'root')).toBe(true)
  })
})
