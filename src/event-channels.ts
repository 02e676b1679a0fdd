import { channel } from 'node:diagnostics_channel'
import { plainAddress } from './address-ranges.js'

/** The names under which events are published, all of them: the `diagnostics_channel` channels of this package. They do not change. */
export const channelNames = Object.freeze({
  decision: 'mtls-identity:decision',
  identity: 'mtls-identity:identity',
  connection: 'mtls-identity:connection',
  spoofing: 'mtls-identity:spoofing',
  reload: 'mtls-identity:reload',
  revocation: 'mtls-identity:revocation',
  candidate: 'mtls-identity:candidate',
})

/** A channel of `node:diagnostics_channel`, as listeners see it, whose events have a type. */
export interface EventChannel<E> {
  /** For `diagnostics_channel.subscribe(name, listener)`. */
  readonly name: string | symbol
  readonly hasSubscribers: boolean
  /**
   * Calls `listener` at once whenever something happens, with an event that is frozen. What it throws Node throws again on the next tick, as an
   * uncaught exception: it changes nothing here, and ends a process that does not handle those.
   */
  subscribe(listener: (event: E, name: string | symbol) => void): void
  /** False where it was not subscribed. */
  unsubscribe(listener: (event: E, name: string | symbol) => void): boolean
}

/** The same as its publisher sees it. Nothing is prepared for nobody: ask `hasSubscribers` before an event is made. */
export interface Publisher<E> extends EventChannel<E> {
  publish(event: E): void
}

/** Two copies of the package share it: Node knows channels by their names. */
export const openChannel = <E>(name: keyof typeof channelNames): Publisher<E> =>
  channel(channelNames[name]) as unknown as Publisher<E>

/** A peer's address as events write it: that of an IPv4 client is the same whether or not the server listens on IPv6, too. */
export const addressOf = (address: string | undefined): string | undefined =>
  address === undefined ? undefined : (plainAddress(address) ?? address)

/** The same object without the fields that are undefined: only what is there. */
export function present<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never
}
