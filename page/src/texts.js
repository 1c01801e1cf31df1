// What the page says, in both languages.

const english = {
    title: 'Knock by text',
    about: 'Makes a line of text that opens a door for one address. You send it by mail, or put it into a guestbook; '
        + 'this page sends nothing.',
    passphrase: 'Passphrase',
    show: 'Show',
    hide: 'Hide',
    open: 'Go on',
    opening: 'The passphrase is being checked',
    empty: 'Type the passphrase that was chosen when this page was made.',
    wrong: 'This is not the passphrase. Look at it with “Show”: capital letters count, and keyboards differ. If it is '
        + 'right, the file is damaged: take another copy.',
    noMemory: 'This browser has not enough memory for it (64 MiB). Close other tabs, or take another browser.',
    door: 'Door',
    address: 'Public address to let in',
    find: 'How do I find it?',
    findHow: 'On the device that you will connect from, in the network that it will use, search the web for '
        + '“what is my IP”, or open a page that shows it, as icanhazip.com. The settings of a phone or computer often '
        + 'show another one (192.168…, 10…), which counts in that network only.',
    findWhich: 'It looks like 203.0.113.7 (IPv4) or 2001:db8::7 (IPv6). If you are shown both, take the kind by which '
        + 'your server is reached, mostly IPv4. If nothing else helps: ask whoever runs the network, or someone who '
        + 'sees your connection.',
    noAddress: 'This is no address. It looks like 203.0.113.7 or 2001:db8::7; see “How do I find it?” below.',
    never: 'No server lets this address in: it stands for no device, or for every device itself. See “How do I find '
        + 'it?” below.',
    inside: 'Careful: this address counts within a private network only. It is right only if the server is in the '
        + 'same network. Otherwise see “How do I find it?”.',
    time: 'For how long',
    usual: 'As the door says',
    minutes: (many) => `${many} minutes`,
    hours: (many) => (many === 1 ? '1 hour' : `${many} hours`),
    clock: 'This device’s clock:',
    clockWrong: 'If it is wrong, date and time zone included, set it first: the token would be refused.',
    make: 'Make the token',
    token: 'Your token',
    copy: 'Copy',
    mail: 'Write mail',
    subject: 'Note',
    copied: 'Copied.',
    notCopied: 'The browser does not allow it: touch the token for long, and choose Copy.',
    says: (door, address, time) => `Opens ${door} for ${address}, once. Made at ${time}.`,
    then: 'Send it now; it may stand anywhere in the mail or entry. Nobody answers: connect after a minute.',
    lock: 'Forget everything',
};

const german = {
    title: 'Anklopfen per Text',
    about: 'Macht eine Zeile Text, die eine Tür für eine Adresse öffnet. Sie geht per Mail oder in ein Gästebuch; diese '
        + 'Seite sendet nichts.',
    passphrase: 'Passphrase',
    show: 'Zeigen',
    hide: 'Verbergen',
    open: 'Weiter',
    opening: 'Die Passphrase wird geprüft',
    empty: 'Hier gehört die Passphrase hin, die beim Erstellen dieser Seite gewählt wurde.',
    wrong: 'Das ist nicht die Passphrase. Mit „Zeigen“ nachsehen: Großbuchstaben zählen, und Tastaturen sind '
        + 'verschieden. Stimmt sie, ist die Datei beschädigt: eine andere Kopie nehmen.',
    noMemory: 'Dieser Browser hat dafür nicht genug Speicher (64 MiB). Andere Tabs schließen oder einen anderen nehmen.',
    door: 'Tür',
    address: 'Öffentliche Adresse, die hinein darf',
    find: 'Wie finde ich sie?',
    findHow: 'Auf dem Gerät, das sich verbinden soll, und in dessen Netz im Web nach „meine IP“ suchen oder eine Seite '
        + 'öffnen, die sie zeigt, etwa icanhazip.com. Die Einstellungen von Telefon oder Rechner zeigen oft eine andere '
        + '(192.168…, 10…), die nur in jenem Netz gilt.',
    findWhich: 'Sie sieht aus wie 203.0.113.7 (IPv4) oder 2001:db8::7 (IPv6). Werden beide gezeigt, gilt die Art, über '
        + 'die der Server erreicht wird, meist IPv4. Hilft nichts davon: fragen, wer das Netz betreibt oder die '
        + 'Verbindung sieht.',
    noAddress: 'Das ist keine Adresse. Sie sieht aus wie 203.0.113.7 oder 2001:db8::7; siehe „Wie finde ich sie?“ '
        + 'darunter.',
    never: 'Diese Adresse lässt kein Server ein: Sie steht für kein Gerät, oder für jedes selbst. Siehe „Wie finde ich '
        + 'sie?“ darunter.',
    inside: 'Vorsicht: Diese Adresse gilt nur in einem privaten Netz. Sie passt nur, wenn der Server im selben Netz ist. '
        + 'Sonst siehe „Wie finde ich sie?“.',
    time: 'Wie lange',
    usual: 'Wie die Tür es vorsieht',
    minutes: (many) => `${many} Minuten`,
    hours: (many) => (many === 1 ? '1 Stunde' : `${many} Stunden`),
    clock: 'Die Uhr dieses Geräts:',
    clockWrong: 'Geht sie falsch, auch bei Datum oder Zeitzone, erst richtig stellen: Das Token würde abgelehnt.',
    make: 'Token machen',
    token: 'Das Token',
    copy: 'Kopieren',
    mail: 'Mail schreiben',
    subject: 'Notiz',
    copied: 'Kopiert.',
    notCopied: 'Der Browser erlaubt es nicht: lange auf das Token drücken und Kopieren wählen.',
    says: (door, address, time) => `Öffnet ${door} für ${address}, einmal. Gemacht um ${time}.`,
    then: 'Jetzt absenden; wo es in Mail oder Eintrag steht, ist gleich. Niemand antwortet: nach einer Minute verbinden.',
    lock: 'Alles vergessen',
};

export const languageOf = (tag) => (/^de\b/i.test(tag) ? 'de' : 'en');
export const textsOf = (language) => (language === 'de' ? german : english);
