/** A fact and what to do about it: the two halves of an operator's sentence, as a status carries them. */
export interface SentenceHalves {
  readonly reason: string
  readonly fix: string
}

/** Takes a message of ours apart where it has a fix; otherwise it gets this one. */
export function halvesOf({ message }: Error, fix: string): SentenceHalves {
  const at = message.indexOf(' — ')
  return at < 0 ? { reason: message, fix } : { reason: message.slice(0, at), fix: message.slice(at + 3) }
}
