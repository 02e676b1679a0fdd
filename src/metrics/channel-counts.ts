import { spoofingChannel } from '../core/spoofing.js'
import type { EventChannel } from '../event-channels.js'
import { identityChannel } from '../ledger/identity-events.js'
import { reloadChannel } from '../reload-events.js'
import { revocationChannel } from '../revocation/events.js'
import { connectionChannel } from '../server/connection-events.js'
import type { Labels, ProcessInstrument, Sample } from './instruments.js'

/** Events of one channel, counted by labels that have few values each. */
interface Counted {
  readonly instrument: ProcessInstrument
  /** Returns what stops it. */
  listen(count: (labels: Labels) => void): () => void
}

function counted<E>(
  channel: EventChannel<E>,
  instrument: Omit<ProcessInstrument, 'kind'>,
  labelsOf: (event: E) => Labels,
): Counted {
  return {
    instrument: { ...instrument, kind: 'counter' },
    listen: (count) => {
      const listener = (event: E) => count(labelsOf(event))
      channel.subscribe(listener)
      return () => void channel.unsubscribe(listener)
    },
  }
}

const connections = counted(
  connectionChannel,
  {
    name: 'mtls_identity_connections_total',
    help: 'TLS connections to servers under superviseServer(), by how they began.',
    labels: ['outcome', 'resumed', 'protocol'],
  },
  ({ outcome, resumed, protocol = 'none' }) => ({ outcome, resumed: String(resumed), protocol }),
)

const spoofing = counted(
  spoofingChannel,
  {
    name: 'mtls_identity_spoofing_attempts_total',
    help: 'Requests in which somebody tried to speak in the place of the proxy, or the proxy let a client do so.',
    labels: ['kind'],
  },
  ({ kind }) => ({ kind }),
)

const reloads = counted(
  reloadChannel,
  {
    name: 'mtls_identity_reloads_total',
    help: 'Files and providers that were read again, or could not be.',
    labels: ['kind', 'ok'],
  },
  ({ kind, ok }) => ({ kind, ok: String(ok) }),
)

const revocation = counted(
  revocationChannel,
  {
    name: 'mtls_identity_revocation_events_total',
    help: 'What happened to CRLs, OCSP answers and deny lists.',
    labels: ['type'],
  },
  ({ type }) => ({ type }),
)

const identities = counted(
  identityChannel,
  {
    name: 'mtls_identity_identity_events_total',
    help: 'What is unusual about clients, or soon to end: first-seen, moved, expiring, outdated, burst.',
    labels: ['type'],
  },
  ({ type }) => ({ type }),
)

const all = [connections, spoofing, reloads, revocation, identities]

/** What is counted of the whole process: the channels are shared by all authenticators and servers. */
export const processInstruments: readonly ProcessInstrument[] = all.map(({ instrument }) => instrument)

/** Counts events from now on. */
export class ChannelCounts {
  readonly #counts = new Map<string, Map<string, [labels: Labels, count: number]>>()
  readonly #stops: (() => void)[]

  constructor() {
    this.#stops = all.map(({ instrument, listen }) => {
      const counts = new Map<string, [labels: Labels, count: number]>()
      this.#counts.set(instrument.name, counts)
      return listen((labels) => {
        const key = Object.values(labels).join(' ')
        const known = counts.get(key)
        if (known === undefined) counts.set(key, [labels, 1])
        else known[1]++
      })
    })
  }

  read({ name }: ProcessInstrument): Iterable<Sample> {
    return this.#counts.get(name)?.values() ?? []
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) stop()
  }
}
