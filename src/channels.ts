import { type AuditEvent, decisionChannel } from './core/audit.js'
import { type CandidateEvent, candidateChannel } from './core/candidate-report.js'
import { type SpoofingEvent, spoofingChannel } from './core/spoofing.js'
import type { channelNames, EventChannel } from './event-channels.js'
import { type IdentityEvent, identityChannel } from './ledger/identity-events.js'
import { type ReloadEvent, reloadChannel } from './reload-events.js'
import { type RevocationEvent, revocationChannel } from './revocation/events.js'
import { type ConnectionEvent, connectionChannel } from './server/connection-events.js'

/** What is published under which name of `node:diagnostics_channel`. */
export interface MtlsIdentityChannels {
  'mtls-identity:decision': AuditEvent
  'mtls-identity:identity': IdentityEvent
  'mtls-identity:connection': ConnectionEvent
  'mtls-identity:spoofing': SpoofingEvent
  'mtls-identity:reload': ReloadEvent
  'mtls-identity:revocation': RevocationEvent
  'mtls-identity:candidate': CandidateEvent
}

/**
 * The channels of `node:diagnostics_channel` this package publishes on, with the types of their events. They are the process's: every
 * authenticator and server publishes on the same ones.
 *
 * @example
 * channels.spoofing.subscribe(({ kind, address, header }) => alarm(`${kind} from ${address}: ${header}`))
 */
export const channels: {
  readonly [N in keyof typeof channelNames]: EventChannel<MtlsIdentityChannels[(typeof channelNames)[N]]>
} = Object.freeze({
  decision: decisionChannel,
  identity: identityChannel,
  connection: connectionChannel,
  spoofing: spoofingChannel,
  reload: reloadChannel,
  revocation: revocationChannel,
  candidate: candidateChannel,
})
