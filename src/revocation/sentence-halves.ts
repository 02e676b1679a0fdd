/** A fact and what to do about it: the two halves of an operator's sentence, as a status carries them. */
export interface SentenceHalves {
  readonly reason: string
  readonly fix: string
}

/** Takes a sentence of ours apart; some have no fix. */
export function factAndFix(sentence: string): Pick<SentenceHalves, 'reason'> & Partial<SentenceHalves> {
  const at = sentence.indexOf(' — ')
  return at < 0 ? { reason: sentence } : { reason: sentence.slice(0, at), fix: sentence.slice(at + 3) }
}

/** Takes a message of ours apart where it has a fix; otherwise it gets this one. */
export const halvesOf = ({ message }: Error, fix: string): SentenceHalves => ({ fix, ...factAndFix(message) })
