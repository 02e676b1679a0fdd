/** Everything a responder can do wrong, under every policy: nobody is admitted without an answer that is signed, recent and ours. */
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { CertificateChecker } from '../../src/revocation/certificate-status.js'
import { type OcspOptions, ocsp } from '../../src/revocation/ocsp-checker.js'
import {
  delegate,
  errorResponse,
  nonceExtension,
  type ResponsePlan,
  respond,
  revoked,
  unknown,
} from '../support/ocsp-forge.js'
import { ca, certIdOfForged, questionAbout, strict } from '../support/ocsp-scene.js'
import { extKeyUsage, oid, primitive, purpose, sequence } from '../support/path-der.js'
import { type Forged, forge, noon } from '../support/path-forge.js'
import {
  type Fault,
  faults,
  faultTable,
  type ReceivedRequest,
  type Responder,
  startResponder,
} from '../support/responder.js'

const [second, minute, hour] = [1000, 60_000, 3_600_000]
const nonces = ['none', 'preferred', 'required'] as const
const methods = ['post', 'get'] as const
const origins = ['configured', 'certificate'] as const

interface Policy {
  readonly name: string
  readonly options: Pick<OcspOptions, 'nonce' | 'method' | 'hash'>
  readonly origin: (typeof origins)[number]
}
const policies: Policy[] = nonces.flatMap((nonce, i) =>
  methods.flatMap((method, j) =>
    origins.map((origin, k): Policy => {
      const hash = (i + j + k) % 2 === 0 ? 'sha1' : 'sha256'
      return { name: `${nonce} ${method} ${hash} ${origin}`, options: { nonce, method, hash }, origin }
    }),
  ),
)

/** Longer than a busy machine needs for an answer on loopback; shorter where it is the deadline that is waited for. */
const deadline = (fault?: Fault) =>
  fault !== undefined && faultTable[fault].outcomes.includes('timeout') ? 500 : 4_000

const rejections: unknown[] = []
const note = (reason: unknown) => rejections.push(reason)
beforeAll(() => {
  process.on('unhandledRejection', note)
})
afterAll(() => {
  process.off('unhandledRejection', note)
  expect(rejections).toEqual([])
})

/** A responder, and a checker of each policy that asks it about a client of its own. */
async function stage(timeoutMilliseconds: number) {
  let time = noon.getTime()
  const clients: { readonly leaf: Forged; readonly checker: CertificateChecker; readonly policy: Policy }[] = []
  let lie: ((leaf: Forged, plan: ResponsePlan) => Uint8Array) | undefined

  function answer(request: ReceivedRequest): Uint8Array {
    const sent = Buffer.from(
      request.method === 'GET' ? Buffer.from(decodeURIComponent(request.path.slice(1)), 'base64') : request.body,
    )
    for (const { leaf, policy } of clients) {
      const certId = certIdOfForged(leaf, ca, policy.options.hash)
      if (sent.indexOf(certId) < 0) continue
      const nonce = sent.indexOf(oid('1.3.6.1.5.5.7.48.1.2')) > 0 ? [nonceExtension(sent.subarray(-32))] : undefined
      const plan = {
        producedAt: new Date(time),
        singles: [{ thisUpdate: new Date(time), nextUpdate: new Date(time + hour) }],
        ...(nonce === undefined ? {} : { extensions: nonce }),
      }
      return lie === undefined ? respond(certId, ca, plan) : lie(leaf, plan)
    }
    throw new Error('a request about nobody')
  }

  const responder = await startResponder({ answer, contentType: 'application/ocsp-response' })
  const url = `${responder.url}/`
  const aia = {
    oid: '1.3.6.1.5.5.7.1.1',
    critical: false,
    value: sequence(sequence(oid('1.3.6.1.5.5.7.48.1'), primitive(6, Buffer.from(url)))),
  }
  for (const policy of policies) {
    const leaf = forge({ subject: policy.name, issuer: ca, extensions: [aia] })
    const common = { ...policy.options, now: () => time, timeoutMilliseconds }
    const who =
      policy.origin === 'configured'
        ? { responder: url }
        : { fromCertificate: true, allowHosts: [`127.0.0.1:${responder.port}`], allowPrivateNetworks: ['127.0.0.0/8'] }
    clients.push({ leaf, policy, checker: ocsp({ ...common, ...who }) })
  }
  return {
    responder,
    clients,
    pass: (milliseconds: number) => {
      time += milliseconds
    },
    lie: (told: typeof lie) => {
      lie = told
    },
    /** The statuses under all policies, by policy; each asks twice at once. */
    async statuses(): Promise<Record<string, string>> {
      const entries = clients.map(async ({ leaf, checker, policy }) => {
        const ask = async () => (await checker.statusOf(questionAbout(leaf, ca, time, strict))).status
        const [one, two] = await Promise.all([ask(), ask()])
        return [policy.name, one === two ? one : `${one}, ${two}`]
      })
      return Object.fromEntries(await Promise.all(entries))
    },
    async close(): Promise<void> {
      for (const { checker } of clients) checker.close?.()
      await responder.settled()
    },
  }
}
type Stage = Awaited<ReturnType<typeof stage>>

const all = (status: string) => Object.fromEntries(policies.map(({ name }) => [name, status]))
const isIntact = (fault: Fault) => faultTable[fault].outcomes.every((outcome) => outcome === 'intact')

/** What failed is forgotten soon after the responder behaves; a busy machine may miss a short deadline once more. */
async function becomesGood(it: Stage) {
  const good = all('good')
  let found: Record<string, string> = {}
  for (let tries = 0; tries < 5 && !isDeepStrictEqual(found, good); tries++) {
    it.pass(6 * second)
    found = await it.statuses()
  }
  expect(found).toEqual(good)
}

/** Without an answer, then with one that is remembered, until it ends. */
async function throughAll(
  it: Stage,
  begin: (responder: Responder) => Promise<void>,
  end: (responder: Responder) => Promise<void>,
  expected: string,
) {
  await begin(it.responder)
  expect(await it.statuses()).toEqual(all(expected))
  expect(await it.statuses()).toEqual(all(expected))

  await end(it.responder)
  await becomesGood(it)

  await begin(it.responder)
  it.pass(0.95 * hour)
  expect(await it.statuses()).toEqual(all('good'))
  it.pass(0.05 * hour)
  await new Promise((resolve) => setImmediate(resolve))
  it.pass(10 * minute)
  expect(await it.statuses()).toEqual(all(expected))

  await end(it.responder)
  await becomesGood(it)
  await it.close()
}

describe(`${faults.length} faults on the way × ${policies.length} policies, with and without a remembered answer`, () => {
  test.each(faults)(
    '%s',
    async (fault) => {
      const it = await stage(deadline(fault))
      const expected = isIntact(fault) ? 'good' : 'unknown'
      await throughAll(
        it,
        (responder) => responder.misbehave(fault),
        (responder) => responder.misbehave(undefined),
        expected,
      )
    },
    30_000,
  )
})

const rogue = forge({ subject: 'rogue', ca: true })
const lies: Record<string, (leaf: Forged, plan: ResponsePlan, hash: Uint8Array) => Uint8Array> = {
  malformedRequest: () => errorResponse(1),
  internalError: () => errorResponse(2),
  sigRequired: () => errorResponse(5),
  unauthorized: () => errorResponse(6),
  'a status that does not exist': () => errorResponse(4),
  unknown: (_, plan, id) => respond(id, ca, { ...plan, singles: [{ ...plan.singles?.[0], status: unknown }] }),
  'somebody else’s answer': (_, plan) => respond(certIdOfForged(rogue, rogue), ca, plan),
  'an answer signed by nobody we know': (_, plan, id) => respond(id, rogue, { ...plan, certificates: [rogue.der] }),
  'a client’s signature': (leaf, plan, id) => respond(id, ca, { ...plan, signer: leaf.key, certificates: [leaf.der] }),
  'a delegate for clients': (_, plan, id) => {
    const signer = delegate(ca, { extensions: [extKeyUsage([purpose.client])] })
    return respond(id, ca, { ...plan, signer: signer.key, certificates: [signer.der] })
  },
  'an answer of long ago': (_, plan, id) =>
    respond(id, ca, {
      ...plan,
      singles: [{ thisUpdate: new Date(noon.getTime() - 9 * hour), nextUpdate: new Date(noon.getTime() - 8 * hour) }],
    }),
  'an answer of the future': (_, plan, id) =>
    respond(id, ca, { ...plan, singles: [{ thisUpdate: new Date(noon.getTime() + 90 * hour), nextUpdate: false }] }),
  'a critical extension': (_, plan, id) =>
    respond(id, ca, {
      ...plan,
      singles: [{ ...plan.singles?.[0], extensions: [{ oid: '1.2.3', critical: true, value: Uint8Array.of(5, 0) }] }],
    }),
  'a broken signature': (_, plan, id) => {
    const octets = respond(id, ca, plan)
    octets[octets.length - 1] = (octets[octets.length - 1] as number) ^ 1
    return octets
  },
}

describe(`${Object.keys(lies).length} lies × ${policies.length} policies, with and without a remembered answer`, () => {
  test.each(Object.keys(lies))(
    '%s',
    async (name) => {
      const it = await stage(deadline())
      const hashOf = (leaf: Forged) => it.clients.find((client) => client.leaf === leaf)?.policy.options.hash
      const tell = async () =>
        it.lie((leaf, plan) =>
          (lies[name] as (typeof lies)[string])(leaf, plan, certIdOfForged(leaf, ca, hashOf(leaf))),
        )
      const stop = async () => it.lie(undefined)
      await throughAll(it, tell, stop, 'unknown')
    },
    30_000,
  )

  test('a nonce of another request: never where we send one', async () => {
    const it = await stage(deadline())
    it.lie((leaf, plan) =>
      respond(certIdOfForged(leaf, ca, it.clients.find((client) => client.leaf === leaf)?.policy.options.hash), ca, {
        ...plan,
        extensions: [nonceExtension(Buffer.alloc(32, 7))],
      }),
    )
    expect(await it.statuses()).toEqual(
      Object.fromEntries(policies.map(({ name, options }) => [name, options.nonce === 'none' ? 'good' : 'unknown'])),
    )
    await it.close()
  })

  test('no nonce: only where none is required', async () => {
    const it = await stage(deadline())
    it.lie((leaf, { extensions: _, ...plan }) =>
      respond(
        certIdOfForged(leaf, ca, it.clients.find((client) => client.leaf === leaf)?.policy.options.hash),
        ca,
        plan,
      ),
    )
    expect(await it.statuses()).toEqual(
      Object.fromEntries(
        policies.map(({ name, options }) => [name, options.nonce === 'required' ? 'unknown' : 'good']),
      ),
    )
    await it.close()
  })

  test('a revocation is one under every policy, and outlasts everything after it', async () => {
    const it = await stage(deadline())
    const revoke = (leaf: Forged, plan: ResponsePlan) =>
      respond(certIdOfForged(leaf, ca, it.clients.find((client) => client.leaf === leaf)?.policy.options.hash), ca, {
        ...plan,
        singles: [{ ...plan.singles?.[0], status: revoked(noon) }],
      })
    expect(await it.statuses()).toEqual(all('good'))
    it.lie(revoke)
    it.pass(hour)
    expect(await it.statuses()).toEqual(all('revoked'))
    it.lie(undefined)
    it.pass(20 * hour)
    expect(await it.statuses()).toEqual(all('revoked'))
    await it.responder.misbehave('refuse-connection')
    it.pass(20 * hour)
    expect(await it.statuses()).toEqual(all('revoked'))
    await it.close()
  })
})
