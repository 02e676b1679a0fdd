/** C-02: trust that is swapped all the time. Every decision is made wholly under one of the two, and nobody valid is turned away. */
import { renameSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import { beforeAll, expect, jest, test } from '@jest/globals'
import { createAuthenticator, type Decision, TrustStore, tlsServerOptions } from '../../src/index.js'
import { superviseServer } from '../../src/server.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { fileOf, json, keepAlive } from '../support/clients.js'
import { afterThisTest, bare, type Listener, listen, serverTls } from '../support/servers.js'

/** `SWAPS=10000 npm test -- swaps` takes a quarter of an hour; the usual run has fewer. */
const swaps = Number(process.env.SWAPS ?? 100)
const perSwap = 20

let one: TestPki
let two: TestPki
let always: TestCredential
let only: [TestCredential, TestCredential]
beforeAll(async () => {
  one = await createTestPki({ name: 'One' })
  two = await createTestPki({ name: 'Two' })
  const both = await createTestPki({ name: 'Both' })
  shared = both
  always = await both.issue({ subject: 'CN=always' })
  only = [await one.issue({ subject: 'CN=one' }), await two.issue({ subject: 'CN=two' })]
})
let shared: TestPki

const chain = ({ certificate, chain }: TestCredential) => ({
  certificate: certificate.der,
  intermediates: chain.map(({ der }) => der),
  via: 'tls' as const,
})

test(
  `${swaps} swaps under load: no decision mixes two stores, no valid client is refused`,
  async () => {
    let which = 0
    // Named sets, so that a decision says under which of the two it was made.
    const contents = [one, two].map((pki) => pki.trust + shared.trust)
    let generation = 0
    const store = TrustStore.assemble({
      label: 'memory',
      load: () => TrustStore.parse(contents[which] as string).current(),
    })
    // A slow checker, so that swaps fall into the middle of decisions.
    const auth = createAuthenticator({
      trust: store,
      revocation: {
        name: 'slow',
        check: () => new Promise((resolve) => setImmediate(() => resolve({ status: 'good' }))),
      },
      log: false,
    })
    const wrong: string[] = []
    let decisions = 0
    let accepted = 0
    const name = (decision: Decision) =>
      decision.outcome === 'accepted' ? decision.identity.anchor.subject.get('CN') : decision.error.code

    for (let swap = 0; swap < swaps; swap++) {
      const asked = Array.from({ length: perSwap }, async (_, i) => {
        const from = which
        const started = generation
        const client = i % 2 === 0 ? always : (only[(i >> 1) % 2] as TestCredential)
        const decision = await auth.authenticateChain(chain(client))
        decisions++
        const verdict = name(decision)
        if (client === always) {
          // Trusted before, after and in between; a store that changes three times within one decision is a 503 that says so.
          const isRestless = decision.outcome !== 'accepted' && decision.error.code === 'ERR_CLIENT_CERT_NOT_READY'
          if (verdict !== 'Both Root CA' && !(isRestless && generation - started >= 3)) wrong.push(`always: ${verdict}`)
          if (verdict === 'Both Root CA') accepted++
        } else if (generation === started) {
          // Nothing was swapped while it was decided about: the answer is that of the one store.
          const wanted =
            client === only[from] ? `${from === 0 ? 'One' : 'Two'} Root CA` : 'ERR_CLIENT_CERT_UNKNOWN_ISSUER'
          if (verdict !== wanted) wrong.push(`${from} ${client === only[0] ? 'one' : 'two'}: ${verdict}`)
        }
      })
      which = 1 - which
      expect(store.reload().ok).toBe(true)
      generation++
      await Promise.all(asked)
      // And some that nothing disturbs.
      const [mine, theirs] = await Promise.all(
        [only[which], only[1 - which]].map((client) => auth.authenticateChain(chain(client as TestCredential))),
      )
      decisions += 2
      if (mine?.outcome !== 'accepted') wrong.push('mine refused')
      if (theirs?.outcome !== 'refused' || theirs.error.code !== 'ERR_CLIENT_CERT_UNKNOWN_ISSUER')
        wrong.push('theirs in')
    }
    expect(wrong).toEqual([])
    expect(decisions).toBe(swaps * (perSwap + 2))
    expect(accepted).toBe((swaps * perSwap) / 2)
    await auth.close()
  },
  60_000 + swaps * 200,
)

test('C-02: a file that is reloaded a thousand times, as fast as that goes, while requests are decided about', async () => {
  const contents = [one, two].map((pki) => pki.trust + shared.trust)
  const path = fileOf(contents[0] as string)
  const store = TrustStore.load(path, { watch: false })
  const auth = createAuthenticator({ trust: store, revocation: 'none', log: false })
  afterThisTest(() => auth.close())
  const verdicts = new Set<string>()
  let decisions = 0
  for (let swap = 1; swap <= 1_000; swap++) {
    writeFileSync(`${path}.new`, contents[swap % 2] as string)
    renameSync(`${path}.new`, path)
    const deciding = [always, only[swap % 2], only[1 - (swap % 2)]].map((client) =>
      auth.authenticateChain(chain(client as TestCredential)),
    )
    expect(store.reload().ok).toBe(true)
    const [forever, mine, theirs] = await Promise.all(deciding)
    decisions += deciding.length
    if (forever?.outcome !== 'accepted') verdicts.add('one who was always trusted was refused')
    // Nothing else is true of the two than that exactly one of them is trusted at a time.
    for (const decision of [mine, theirs]) {
      if (decision?.outcome === 'refused' && decision.error.code !== 'ERR_CLIENT_CERT_UNKNOWN_ISSUER')
        verdicts.add(decision.error.code)
    }
    const [now, not] = await Promise.all(
      [only[swap % 2], only[1 - (swap % 2)]].map((client) => auth.authenticateChain(chain(client as TestCredential))),
    )
    decisions += 2
    if (now?.outcome !== 'accepted') verdicts.add('one who is trusted now was refused')
    if (not?.outcome !== 'refused') verdicts.add('one who is no longer trusted was accepted')
  }
  expect([...verdicts]).toEqual([])
  expect(decisions).toBe(5_000)
}, 60_000)

test('over real connections, with a supervised server whose context is renewed at every swap, nobody valid is dropped', async () => {
  jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const path = fileOf(one.trust + shared.trust)
  const store = TrustStore.load(path, { watch: false })
  const auth = createAuthenticator({ trust: store, revocation: 'none', log: false })
  const server = https.createServer(tlsServerOptions(auth, await serverTls), bare(auth) as unknown as Listener as never)
  const supervisor = superviseServer(server, auth)
  afterThisTest(() => supervisor.close())
  const port = await listen(server)
  const asks = Array.from({ length: 8 }, () => keepAlive(port, always, { maxCachedSessions: 10 }))
  const connections = new Set<number>()
  let requests = 0
  for (let swap = 0; swap < 60; swap++) {
    const answers = asks.map((ask) => ask())
    // As an operator replaces a file: written aside, then renamed.
    writeFileSync(`${path}.new`, (swap % 2 === 0 ? two : one).trust + shared.trust)
    renameSync(`${path}.new`, path)
    expect(store.reload().ok).toBe(true)
    for (const answer of await Promise.all(answers)) {
      expect(json(answer)).toMatchObject({ cn: 'always' })
      connections.add(answer.connection)
      requests++
    }
  }
  expect(requests).toBe(480)
  // Nobody's connection was closed: they all stayed trusted.
  expect(connections.size).toBe(8)
}, 60_000)
