/** The Georgian words for visitors. */

import { addWords } from "../words.js";

addWords("ka", {
  play: "ვიდეოს დაკვრა",
  play_titled: "ვიდეოს დაკვრა: {title}",
  loading: "იტვირთება…",
  uploading: "თქვენი ვიდეო აიტვირთება",
  pending: "ვიდეო აიტვირთება",
  checking: "ბოლო შემოწმება გამოქვეყნებამდე",
  preparing: "ვიდეო მზადდება",
  improving: "მზადდება უკეთესი ხარისხის ვერსია.",
  slow: "ამას ჩვეულებრივზე მეტი დრო სჭირდება.",
  unavailable: "ეს ვიდეო მიუწვდომელია.",
  unreachable: "ვიდეოსთან დაკავშირება ამჟამად ვერ ხერხდება. ვაგრძელებთ ცდას.",
  interrupted: "დაკვრა შეწყდა.",
  try_again: "ხელახლა ცდა",
  other_version: "ნაკადი შეწყდა; დაკვრა გრძელდება სხვა ვერსიით.",
  dismiss: "დამალვა",
});
