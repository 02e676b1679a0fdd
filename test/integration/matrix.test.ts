/**
 * Every protocol, with every kind of TLS session, for every kind of client: one outcome for each cell, the same on every Node line. A client has
 * asked once before it comes in the way its row says, and in between everything happens at once: two hours pass, one certificate is
 * denied, one CA leaves the trust store.
 *
 * Not here: sessions that end with the trust they were made under (S-07: supervised.test.ts, bound-sessions.test.ts), early data (S-09:
 * early-data.test.ts), and callbacks of the handshake that throw (S-10: bound-sessions.test.ts).
 */
import { constants, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { SecureVersion, TlsOptions } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { TestCredential } from '../../src/testing.js'
import { filesOf, requireTool, run } from '../support/clients.js'
import { type Cast, connect, createCast, type Kind, kinds, outcomeOf, startCluster } from '../support/matrix.js'
import { createApplication, type Protocol, protocols } from '../support/matrix-application.js'
import { deciding } from '../support/revocation.js'
import { afterThisTest, listen, serverTls } from '../support/servers.js'

/**
 * Codes without ERR_CLIENT_CERT_. `cut`: the connection ended without an answer. `no session`: a refused upgrade ends its connection, so that there is
 * none to keep or to renegotiate.
 */
const table = `
                                 | none       | valid    | expired  | revoked  | unknown CA     | CA removed     | CA as client | malformed
before                           | ABSENT     | accepted | accepted | accepted | UNKNOWN_ISSUER | accepted       | CA_AS_CLIENT | MALFORMED
full handshake                   | ABSENT     | accepted | EXPIRED  | REVOKED  | UNKNOWN_ISSUER | UNKNOWN_ISSUER | CA_AS_CLIENT | MALFORMED
kept alive                       | ABSENT     | accepted | EXPIRED  | REVOKED  | UNKNOWN_ISSUER | UNKNOWN_ISSUER | CA_AS_CLIENT | MALFORMED
kept alive, upgraded             | no session | accepted | cut      | cut      | no session     | cut            | no session   | no session
resumed by session ID            | ABSENT     | accepted | EXPIRED  | REVOKED  | UNKNOWN_ISSUER | UNKNOWN_ISSUER | CA_AS_CLIENT | MALFORMED
resumed by ticket                | ABSENT     | accepted | EXPIRED  | REVOKED  | UNKNOWN_ISSUER | UNKNOWN_ISSUER | CA_AS_CLIENT | MALFORMED
shared ticket keys               | ABSENT     | accepted | EXPIRED  | REVOKED  | UNKNOWN_ISSUER | UNKNOWN_ISSUER | CA_AS_CLIENT | MALFORMED
another name of the server       | ABSENT     | accepted | EXPIRED  | REVOKED  | UNKNOWN_ISSUER | UNKNOWN_ISSUER | CA_AS_CLIENT | MALFORMED
another name in upper case       | ABSENT     | accepted | EXPIRED  | REVOKED  | UNKNOWN_ISSUER | UNKNOWN_ISSUER | CA_AS_CLIENT | MALFORMED
another cluster worker           | ABSENT     | accepted | EXPIRED  | REVOKED  | UNKNOWN_ISSUER | UNKNOWN_ISSUER | CA_AS_CLIENT | MALFORMED
renegotiated                     | cut        | cut      | cut      | cut      | cut            | cut            | cut          | cut
renegotiated, upgraded           | no session | cut      | cut      | cut      | no session     | cut            | no session   | no session
`
type Row = Record<Kind, string>

const rows = new Map<string, Row>(
  table
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => {
      const [name = '', ...cells] = line.split('|').map((cell) => cell.trim())
      return [name, Object.fromEntries(kinds.map((kind, column) => [kind, cells[column]])) as Row]
    }),
)
const rowOf = (name: string): Row => {
  const row = rows.get(name)
  if (row === undefined) throw new Error(`no such row: ${name}`)
  return row
}

let cast: Cast
beforeAll(async () => {
  cast = await createCast()
})

// ── How clients come back ────────────────────────────────────────────────────────────────────────────────────────

interface Place {
  readonly port: number
  readonly servername?: string
}

interface Stage {
  readonly first: Place
  readonly second: Place
  /** Everything happens. */
  change(): unknown
}

/** One application, one server. */
async function oneServer(protocol: Protocol, extra: TlsOptions = {}) {
  const application = createApplication(await cast.setting())
  afterThisTest(() => application.close())
  const server = application.serve(protocol, extra)
  const place = { port: await listen(server) }
  const stage: Stage = { first: place, second: place, change: () => application.become(cast.after) }
  return { server, place, stage }
}

/** OpenSSL keeps no ticket: the session is the server's, under its ID (RFC 5246 §7.4.1.3). */
async function byId(protocol: Protocol): Promise<Stage> {
  const { server, stage } = await oneServer(protocol, { secureOptions: constants.SSL_OP_NO_TICKET })
  const sessions = new Map<string, Buffer>()
  server.on('newSession', (id: Buffer, session: Buffer, done: () => void) => {
    sessions.set(id.toString('hex'), session)
    done()
  })
  server.on('resumeSession', (id: Buffer, done: (error: null, session: Buffer | null) => void) => {
    done(null, sessions.get(id.toString('hex')) ?? null)
  })
  return stage
}

/** Two applications that have nothing in common but files and a secret. */
async function sharedKeys(protocol: Protocol): Promise<Stage> {
  const setting = await cast.setting()
  const ticketKeys = randomBytes(48)
  const applications = [createApplication(setting), createApplication(setting)] as const
  const [first, second] = await Promise.all(
    applications.map(async (application) => {
      afterThisTest(() => application.close())
      return { port: await listen(application.serve(protocol, { ticketKeys })) }
    }),
  )
  return {
    first: first as Place,
    second: second as Place,
    change: () => {
      for (const each of applications) each.become(cast.after)
    },
  }
}

/** OpenSSL trusts every CA under the first name, and nobody under the second. */
const otherName =
  (name: string) =>
  async (protocol: Protocol): Promise<Stage> => {
    const { server, place, stage } = await oneServer(protocol)
    const tls = await serverTls
    server.addContext('a.test', { ...tls, ca: cast.before.trust })
    server.addContext('b.test', { ...tls, ca: [] })
    return { ...stage, first: { ...place, servername: 'a.test' }, second: { ...place, servername: name } }
  }

type Reuse = 'never' | 'always' | 'as Node likes'

interface Session {
  readonly row: string
  /** Of threats.md. */
  readonly ids: string
  readonly versions: readonly SecureVersion[]
  readonly stage: (protocol: Protocol) => Promise<Stage>
  readonly isKept?: boolean
  readonly reuse: Reuse
}

const bothVersions = ['TLSv1.2', 'TLSv1.3'] as const
const plain = async (protocol: Protocol) => (await oneServer(protocol)).stage

const sessions: readonly Session[] = [
  { row: 'full handshake', ids: 'S-11', versions: bothVersions, stage: plain, reuse: 'never' },
  { row: 'kept alive', ids: 'S-06', versions: bothVersions, stage: plain, isKept: true, reuse: 'never' },
  { row: 'resumed by session ID', ids: 'S-01 S-02 S-05', versions: ['TLSv1.2'], stage: byId, reuse: 'always' },
  { row: 'resumed by ticket', ids: 'S-01 S-02 S-05', versions: bothVersions, stage: plain, reuse: 'always' },
  { row: 'shared ticket keys', ids: 'S-03 S-05', versions: bothVersions, stage: sharedKeys, reuse: 'always' },
  // Node resumes across names, or it does not, by its line and release: that is why the outcome must not depend on it.
  {
    row: 'another name of the server',
    ids: 'S-03',
    versions: bothVersions,
    stage: otherName('b.test'),
    reuse: 'as Node likes',
  },
  {
    row: 'another name in upper case',
    ids: 'S-04',
    versions: bothVersions,
    stage: otherName('B.TEST'),
    reuse: 'as Node likes',
  },
]

/** What is expected of a whole row, said as one object so that a failure shows all of it. */
const expected = (row: string, reused: readonly boolean[]) => ({ before: rowOf('before'), after: rowOf(row), reused })

/** One client after the other. */
async function each(cell: (kind: Kind) => Promise<string>): Promise<Row> {
  const row: Partial<Row> = {}
  for (const kind of kinds) row[kind] = await cell(kind)
  return row as Row
}

/** All at the same time: they wait for the guard of upgraded connections. */
const together = async (cell: (kind: Kind) => Promise<string>): Promise<Row> =>
  Object.fromEntries(await Promise.all(kinds.map(async (kind) => [kind, await cell(kind)]))) as Row

describe.each(protocols)('%s', (protocol) => {
  const isUpgraded = protocol === 'an upgraded connection'

  for (const { row, ids, versions, stage, isKept = false, reuse } of sessions) {
    test.each(versions)(
      `${ids}: ${row}, %s`,
      async (version) => {
        const { first, second, change } = await stage(protocol)
        const former = new Map<Kind, Awaited<ReturnType<typeof connect>>>()
        const open = (kind: Kind, { port, ...name }: Place, session?: Buffer) =>
          connect(protocol, port, kind, { client: cast.clients[kind], version, session, ...name })
        const before = await each(async (kind) => {
          const connection = await open(kind, first)
          former.set(kind, connection)
          const outcome = await connection.ask()
          if (!isKept) connection.close()
          return outcome
        })
        await change()
        const reused = new Set<boolean>()
        const after = await (isKept ? together : each)(async (kind) => {
          const known = former.get(kind)
          if (isKept && isUpgraded && before[kind] !== 'accepted') return 'no session'
          const session = reuse === 'never' ? undefined : known?.session()
          if (reuse !== 'never' && session === undefined) return 'no session was offered'
          const connection = isKept && known !== undefined ? known : await open(kind, second, session)
          reused.add(connection.reused)
          return connection.ask()
        })
        const reuses = reuse === 'as Node likes' ? [...reused].slice(0, 1) : [reuse === 'always']
        expect({ before, after, reused: [...reused] }).toEqual(
          expected(isKept && isUpgraded ? `${row}, upgraded` : row, reuses),
        )
      },
      30_000,
    )
  }
})

describe('another cluster worker', () => {
  let workers: Awaited<ReturnType<typeof startCluster>>
  beforeAll(async () => {
    workers = await startCluster(await cast.setting())
  }, 60_000)
  afterAll(() => workers.stop())

  for (const protocol of protocols) {
    test.each(bothVersions)(
      `S-02 S-03 S-05: ${protocol}, a session of one is resumed by the other, %s`,
      async (version) => {
        await workers.become(cast.before)
        const port = workers.portOf(protocol)
        const former = new Map<Kind, { session: Buffer | undefined; worker: number }>()
        const before = await each(async (kind) => {
          const connection = await connect(protocol, port, kind, { client: cast.clients[kind], version })
          const outcome = await connection.ask()
          former.set(kind, { session: connection.session(), worker: await workers.workerOf(connection) })
          connection.close()
          return outcome
        })
        await workers.become(cast.after)
        const reused = new Set<boolean>()
        const after = await each(async (kind) => {
          const { session, worker } = former.get(kind) as { session: Buffer | undefined; worker: number }
          // They take turns, mostly.
          for (let attempt = 0; attempt < 20; attempt++) {
            const connection = await connect(protocol, port, kind, { client: cast.clients[kind], version, session })
            const outcome = await connection.ask()
            const isAnother = (await workers.workerOf(connection)) !== worker
            connection.close()
            if (!isAnother) continue
            reused.add(connection.reused)
            return outcome
          }
          return 'always the same worker'
        })
        expect({ before, after, reused: [...reused] }).toEqual(expected('another cluster worker', [true]))
      },
      30_000,
    )
  }
})

// ── Renegotiation: of TLS 1.2 alone, and of no client of Node's ──────────────────────────────────────────────────────

const python = '/usr/bin/python3'
const renegotiating = requireTool(python, '-c', 'import OpenSSL')
const script = join(import.meta.dirname, '../support/renegotiating_client.py')

interface Ending {
  answers: { status: number; body: string }[]
  agreed: boolean
  renegotiated: boolean
}

async function askTwice(
  protocol: Protocol,
  port: number,
  kind: Kind,
  other: TestCredential,
  when: 'between' | 'at-once' | 'never',
) {
  const name = protocol.startsWith('HTTP/2') ? 'h2' : protocol === 'an upgraded connection' ? 'upgrade' : 'http/1.1'
  const client = cast.clients[kind]
  const [from, to] = [client === undefined ? { cert: '-', key: '-' } : filesOf(client), filesOf(other)]
  const { stdout, stderr } = await run(python, [script, String(port), from.cert, from.key, to.cert, to.key, when, name])
  if (stdout === '') throw new Error(stderr)
  const { answers, agreed, renegotiated } = JSON.parse(stdout) as Ending
  const [first = 'cut', second = 'cut'] = answers.map((answer) => outcomeOf(answer, kind))
  return { first, second, agreed, renegotiated }
}

describe('renegotiated', () => {
  let other: TestCredential
  beforeAll(async () => {
    other = await cast.lab.issue({ subject: 'CN=another', keyAlgorithm: 'RSA-2048' })
  })

  for (const protocol of protocols) {
    const isUpgraded = protocol === 'an upgraded connection'

    renegotiating(
      `S-08: ${protocol}, with a certificate that would be accepted, TLSv1.2`,
      async () => {
        const { place } = await oneServer(protocol)
        const before: Partial<Row> = {}
        const after = await each(async (kind) => {
          const { first, second, agreed, renegotiated } = await askTwice(protocol, place.port, kind, other, 'between')
          before[kind] = first
          if (isUpgraded && first !== 'accepted') return 'no session'
          // Node cuts a connection off that begins to renegotiate; that the server has not even answered is SSL_OP_NO_RENEGOTIATION.
          return agreed ? `${renegotiated ? 'renegotiated' : 'agreed to'}, then ${second}` : second
        })
        expect({ before, after }).toEqual({
          before: rowOf('before'),
          after: rowOf(isUpgraded ? 'renegotiated, upgraded' : 'renegotiated'),
        })
      },
      30_000,
    )

    renegotiating(
      `S-08: ${protocol}, the same client that does not renegotiate is answered twice, TLSv1.2`,
      async () => {
        const { place } = await oneServer(protocol)
        const seen = await askTwice(protocol, place.port, 'valid', other, 'never')
        expect(seen).toEqual({ first: 'accepted', second: 'accepted', agreed: false, renegotiated: false })
      },
    )

    // Between two requests of HTTP/1.1 Node says 400 and nothing else, whatever OpenSSL would have done.
    for (const when of protocol.startsWith('HTTP/1.1') ? (['at-once'] as const) : (['at-once', 'between'] as const)) {
      renegotiating(
        `S-08: ${protocol}, does not answer who renegotiates ${when}, and does without SSL_OP_NO_RENEGOTIATION, TLSv1.2`,
        async () => {
          const { server, place } = await oneServer(protocol)
          const ask = async () => (await askTwice(protocol, place.port, 'valid', other, when)).agreed
          const own = await ask()
          server.setSecureContext({ ...(await serverTls), ca: [], secureOptions: 0 })
          expect([own, await ask()]).toEqual([false, true])
        },
        30_000, // HTTP/2 of Node 26 agrees, and leaves the client waiting.
      )
    }
  }
})

// ── S17: keys no handshake takes ─────────────────────────────────────────────────────────────────────────────────────

describe('a certificate whose key cannot shake hands', () => {
  let client: TestCredential
  beforeAll(async () => {
    client = await cast.lab.issue({ subject: 'CN=valid', keyAlgorithm: 'secp256k1' })
  })

  test('S17: is refused by authenticateChain, and its twin on another curve is not', async () => {
    const { verdict } = deciding({ trust: cast.before.trust, revocation: 'none' }, { now: Date.now() })
    expect(await verdict(client)).toBe('WEAK_KEY')
    expect(await verdict(await cast.lab.issue())).toBe('accepted')
  })

  test.each(protocols)('S17: %s, TLSv1.3 does not send it, and TLSv1.2 fails', async (protocol) => {
    const { place } = await oneServer(protocol)
    const connection = await connect(protocol, place.port, 'valid', { client, version: 'TLSv1.3' })
    expect(await connection.ask()).toBe('ABSENT')
    await expect(connect(protocol, place.port, 'valid', { client, version: 'TLSv1.2' })).rejects.toThrow()
  })
})
